package Idpay::Sim::Server;

# A small HTTP/1.1 server on Mojo::IOLoop for the simulators. It is no
# general server: it exists because a simulator must see the exact bytes of a
# request and must be able to answer with bytes that no proper server sends.
#
#   my $s = Idpay::Sim::Server->new(handler => sub ($request) { $answer });
#   $s->tls({cert => $path, key => $path});     optional
#   $s->early(sub ($request) { $answer|undef })  asked once a head is complete
#   $s->on_record(sub ($request) { ... })        called for each request
#   my $port = $s->listen;                       loopback, the kernel's port
#   $s->accepted $s->handshakes $s->bytes $s->open
#
# An answer is a hash:
#   status   200 by default              headers  [[name, value], ...]
#   body     string, or                  json     data, or
#   size     N filler bytes, from        offset
#   delay_ms trickle_ms chunked endless  reset truncate close raw
#            keep                        (see Idpay::Sim)
# Of `early` answers the rest of the body is read and forgotten.

use Mojo::Base -base, -signatures;

use Idpay::Sim::Answer;
use Idpay::Sim::Request;
use IO::Socket::IP;
use IO::Socket::SSL;
use Mojo::IOLoop;
use Mojo::IOLoop::Stream;
use Mojo::IOLoop::TLS;
use Socket qw(IPPROTO_TCP SOMAXCONN TCP_NODELAY);

has [qw(handler early on_record tls socket)];
has [qw(accepted handshakes bytes)] => 0;
has connections => sub { {} };


sub listen ($self) {
    my $socket = IO::Socket::IP->new(
        LocalAddr => '127.0.0.1',
        LocalPort => 0,
        Listen    => SOMAXCONN,
        Proto     => 'tcp',
        Blocking  => 0,
    ) or die "cannot listen: $@\n";

    # One context for all connections, so that sessions can be resumed.
    if (my $tls = $self->tls) {
        $self->{context} = IO::Socket::SSL::SSL_Context->new(
            SSL_server             => 1,
            SSL_cert_file          => $tls->{cert},
            SSL_key_file           => $tls->{key},
            SSL_session_id_context => 'idpay',
        ) or die "cannot make a TLS context: $IO::Socket::SSL::SSL_ERROR\n";
    }

    Mojo::IOLoop->singleton->reactor->io($socket => sub { $self->_accept })
        ->watch($socket, 1, 0);
    $self->socket($socket);

    return $socket->sockport + 0;
}


sub open ($self) { return scalar keys %{ $self->connections } }


sub _accept ($self) {
    while (my $handle = $self->socket->accept) {
        my $id = $self->accepted($self->accepted + 1)->accepted;
        $handle->blocking(0);
        setsockopt $handle, IPPROTO_TCP, TCP_NODELAY, 1;

        if (!$self->tls) {
            $self->_start($id, $handle);
            next;
        }

        my $tls = $self->{negotiating}{$id} = Mojo::IOLoop::TLS->new($handle);
        $tls->on(upgrade => sub ($tls, $handle) {
            delete $self->{negotiating}{$id};
            $self->handshakes($self->handshakes + 1);
            $self->_start($id, $handle);
        });
        $tls->on(error => sub { delete $self->{negotiating}{$id} });
        $tls->negotiate(
            server      => 1,
            tls_cert    => $self->tls->{cert},
            tls_key     => $self->tls->{key},
            tls_options => { SSL_reuse_ctx => $self->{context} },
        );
    }
    return;
}


sub _start ($self, $id, $handle) {
    my $stream = Mojo::IOLoop::Stream->new($handle);
    my $c      = $self->connections->{$id}
        = { id => $id, stream => $stream, buffer => '' };

    $stream->timeout(0);
    $stream->on(close => sub { $self->_closed($id) });
    $stream->on(error => sub { $self->_closed($id) });
    $stream->on(read  => sub ($stream, $bytes) {
        $self->bytes($self->bytes + length $bytes);
        return if $c->{deaf};
        $c->{buffer} .= $bytes;
        $self->_parse($c);
    });
    $stream->start;
    return;
}


sub _closed ($self, $id) {
    my $c = delete $self->connections->{$id} or return;

    # What arrived of a request that was never completed is worth a record:
    # a test may want to prove that nothing arrived.
    my $request = $c->{request};
    if ($request && $request->head_done && !$c->{answering}) {
        $self->_record($request);
    }
    delete @$c{qw(stream request answer)};
    return;
}


sub _record ($self, $request) {
    $self->on_record->($request) if $self->on_record && $request->method;
    return;
}


sub _parse ($self, $c) {
    while (!$c->{answering} && length $c->{buffer}) {

        my $request = $c->{request}
            //= Idpay::Sim::Request->new(connection => $c->{id});
        my $had_head = $request->head_done;
        my $complete = $request->feed(\$c->{buffer});

        if (!$had_head && $request->head_done && !$request->error) {

            if (my $answer = $self->early && $self->early->($request)) {
                $c->{deaf} = !$complete;
                $self->_answer($c, $answer);
                return;
            }

            $c->{stream}->write("HTTP/1.1 100 Continue\r\n\r\n")
                if !$complete && grep { lc eq '100-continue' }
                $request->header('Expect');
        }

        return if !$complete;
        $self->_answer($c, $request->error && {
            status => 400,
            body   => $request->error . "\n",
        });
    }
    return;
}


sub _answer ($self, $c, $answer = undef) {
    my $request = $c->{request};

    $c->{answering} = 1;
    $self->_record($request);

    $answer ||= eval { $self->handler->($request) } // {
        status => 500,
        body   => "simulator: $@\n",
    };

    # kept before it is sent, since that may be the connection's end
    my $sent = $c->{answer} = Idpay::Sim::Answer->new(
        %$answer,
        stream     => $c->{stream},
        head_only  => ($request->method // '') eq 'HEAD',
        keep_alive => !$c->{deaf} && $request->keep_alive,
        linger     => $c->{deaf},
        done       => sub { $self->_answered($c) },
    );
    $sent->send;
    return;
}


# The next request may already be waiting in the buffer.
sub _answered ($self, $c) {
    delete @$c{qw(answer answering request)};
    $self->_parse($c) if $c->{stream};
    return;
}


1;
