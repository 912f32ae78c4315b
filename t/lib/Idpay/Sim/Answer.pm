package Idpay::Sim::Answer;

# One answer on its way out, well-behaved or not. See Idpay::Sim for what the
# members mean; `done` is called when the connection is free for the next
# request, never when it was closed.

use Mojo::Base -base, -signatures;

use Idpay::Filler qw(filler);
use Mojo::Date;
use Mojo::IOLoop;
use Mojo::JSON   qw(encode_json);
use Scalar::Util qw(weaken);
use Socket       qw(SOL_SOCKET SO_LINGER);

# A piece is written when the one before it is gone, so that a download of
# any size needs no more memory than this.
use constant PIECE => 65_536;

# Seconds that a peer has to read what came before a reset: the kernel may
# throw away what was received and not yet read, and nothing tells us when it
# was read.
use constant RESET_PAUSE => 0.1;

# Seconds that a peer has to close after an early answer.
use constant LINGER => 5;

my %reason = (
    200 => 'OK',                  201 => 'Created',
    202 => 'Accepted',            204 => 'No Content',
    206 => 'Partial Content',     301 => 'Moved Permanently',
    302 => 'Found',               303 => 'See Other',
    304 => 'Not Modified',        400 => 'Bad Request',
    401 => 'Unauthorized',        402 => 'Payment Required',
    403 => 'Forbidden',           404 => 'Not Found',
    405 => 'Method Not Allowed',  409 => 'Conflict',
    413 => 'Content Too Large',   416 => 'Range Not Satisfiable',
    422 => 'Unprocessable Content',
    429 => 'Too Many Requests',   500 => 'Internal Server Error',
    501 => 'Not Implemented',     502 => 'Bad Gateway',
    503 => 'Service Unavailable', 504 => 'Gateway Timeout',
);

has status  => 200;
has headers => sub { [] };
has offset  => 0;
has [qw(stream head_only keep_alive done body json size raw keep)];
has [qw(hold delay_ms trickle_ms chunked endless reset truncate close linger)];


sub send ($self) {
    my $delay = $self->delay_ms;

    if ($self->hold) {
        weaken(my $held = $self);
        $self->hold->(sub { $held->_begin if $held });
    } elsif ($delay) {
        $self->_after($delay / 1000, sub { $_[0]->_begin });
    } else {
        $self->_begin;
    }
    return $self;
}


# The timer goes with the answer, and the answer with its connection.
sub _after ($self, $seconds, $code) {
    weaken $self;
    $self->{timer} = Mojo::IOLoop->timer($seconds => sub {
        return if !$self;
        delete $self->{timer};
        $code->($self);
    });
    return;
}


sub DESTROY ($self) {
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
    Mojo::IOLoop->remove($self->{timer}) if $self->{timer};
    return;
}


sub _begin ($self) {
    return if !$self->stream || !$self->stream->handle;

    return $self->_reset
        if $self->reset && $self->reset eq 'before_header';
    return $self->stream->close
        if $self->close && $self->close eq 'no_answer';

    if (defined $self->raw) {
        $self->keep_alive($self->keep ? 1 : 0);
        $self->{left} = 0;
        return $self->_send_bytes($self->raw);
    }

    my $head = $self->_head;

    # Where an answer ends before its time: half of the body.
    if (($self->truncate // $self->reset // '') eq 'mid_body') {
        $self->{left} = int($self->{left} / 2);
        $self->{cut}  = 1;
    }
    if ($self->head_only || $self->status =~ /^(?:1..|204|304)$/) {
        $self->{left} = 0;
        $self->{bare} = 1;
    }

    return $self->_send_bytes($head) if $self->trickle_ms;

    # A short answer leaves in one write.
    return $self->_send_bytes($head . $self->_next_piece);
}


sub _head ($self) {
    my @headers = map { [@$_] } @{ $self->headers };
    my %has     = map { lc $_->[0] => 1 } @headers;

    if (defined $self->json) {
        $self->body(encode_json($self->json));
        unshift @headers, [ 'Content-Type', 'application/json' ]
            if !$has{'content-type'};
    } elsif (!$has{'content-type'} && $self->status !~ /^(?:204|304)$/) {
        unshift @headers, [ 'Content-Type', 'application/octet-stream' ];
    }

    $self->body('') if !defined $self->body && !defined $self->size;
    $self->{left} = $self->size // length $self->body;
    $self->{at}   = 0;

    if ($self->chunked || $self->endless) {
        push @headers, [ 'Transfer-Encoding', 'chunked' ];
    } elsif (!$has{'content-length'} && $self->status !~ /^(?:1..|204|304)$/) {
        push @headers, [ 'Content-Length', $self->{left} ];
    }

    push @headers, [ 'Date', Mojo::Date->new->to_string ] if !$has{date};
    push @headers, [ 'Connection', 'close' ]              if !$self->keep_alive;

    my $reason = $reason{ $self->status } // 'Status';
    return join "\r\n", 'HTTP/1.1 ' . $self->status . " $reason",
        (map {"$_->[0]: $_->[1]"} @headers), '', '';
}


# The next piece with its framing; empty when all is sent.
sub _next_piece ($self) {
    return '' if $self->{bare} || $self->{ended};

    my $framed = $self->chunked || $self->endless;
    my $length = $self->{left};
    $length = PIECE if $self->endless || $length > PIECE;

    if ($length == 0) {
        $self->{ended} = 1;
        return $framed && !$self->{cut} ? "0\r\n\r\n" : '';
    }

    my $piece
        = defined $self->size || $self->endless
        ? filler($self->offset + $self->{at}, $length)
        : substr $self->body, $self->{at}, $length;

    $self->{at}   += $length;
    $self->{left} -= $length if !$self->endless;

    return $framed ? sprintf("%x\r\n%s\r\n", $length, $piece) : $piece;
}


sub _send_bytes ($self, $bytes) {
    my $stream = $self->stream;

    return if !$stream || !$stream->handle;
    return $self->_trickle($bytes) if $self->trickle_ms;

    weaken $self;
    $stream->write($bytes => sub { $self->_drained if $self });
    return;
}


# A byte each so many milliseconds.
sub _trickle ($self, $bytes) {
    my $stream = $self->stream;

    return if !$stream || !$stream->handle;
    return $self->_drained if !length $bytes;

    $stream->write(substr $bytes, 0, 1, '');
    $self->_after($self->trickle_ms / 1000, sub { $_[0]->_trickle($bytes) });
    return;
}


sub _drained ($self) {
    my $stream = $self->stream;

    return if !$stream || !$stream->handle;

    if (!defined $self->raw) {
        my $piece = $self->_next_piece;
        return $self->_send_bytes($piece) if length $piece;
    }

    return $self->_after(RESET_PAUSE, sub { $_[0]->_reset }) if $self->reset;
    return $stream->close if $self->truncate || $self->close;

    if (!$self->keep_alive) {

        # A close while the peer still sends would be an RST, and the peer
        # might lose the answer.
        return $self->linger ? $stream->timeout(LINGER) : $stream->close;
    }

    my $done = $self->done;
    $done->() if $done;
    return;
}


# SO_LINGER with a time of 0 makes the kernel send RST instead of FIN; TLS
# must not say good-bye first.
sub _reset ($self) {
    my $stream = $self->stream;
    my $handle = $stream->steal_handle;

    setsockopt $handle, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $handle->isa('IO::Socket::SSL')
        ? $handle->close(SSL_no_shutdown => 1, SSL_fast_shutdown => 1)
        : CORE::close($handle);

    $stream->emit('close');
    return;
}


1;
