package Test::Idpay::Client;

# A raw HTTP/1.1 client: what is written is what was asked for, and answers
# are read with nothing left out. Functions:
#
#   connect_to($port, %opt)            a connected socket; ssl => 1 or
#                                      {SSL_... => ...}, timeout
#   request($method, $uri, %opt)       sends, reads the answer, returns a
#                                      Test::Idpay::Response
#   send_bytes($socket, $bytes, %opt)  false when the peer does not take it
#   read_response($socket, $method, %opt)   the next answer on the connection
#
# Options of request: port; headers => [[name, value], ...] in that order and
# spelling; body => string, or code that returns the next piece ('' ends;
# sent chunked unless a Content-Length is among the headers); chunked => 1;
# raw => whole request; socket => an open connection; timeout (30 s, of the
# whole call); sink => code that is given the body's bytes; ssl;
# no_read => 1 returns the socket instead of an answer.
#
# Problem documents are kept for Test::Idpay::Problem.

use strict;
use warnings;

use Errno    qw(EAGAIN EINTR EWOULDBLOCK);
use Exporter qw(import);
use IO::Select;
use IO::Socket::IP;
use IO::Socket::SSL qw($SSL_ERROR SSL_WANT_READ SSL_WANT_WRITE);
use Test::Idpay::Problem qw(is_problem keep_problem);
use Test::Idpay::Response;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(connect_to request send_bytes read_response);

use constant { TIMEOUT => 30, PIECE => 131_072 };


sub connect_to {
    my ($port, %opt) = @_;

    my $socket = IO::Socket::IP->new(
        PeerAddr => '127.0.0.1',
        PeerPort => $port,
        Proto    => 'tcp',
        Timeout  => $opt{timeout} // TIMEOUT,
    ) or die "cannot connect to port $port: $@\n";

    if ($opt{ssl}) {
        my %ssl = ref $opt{ssl} ? %{ $opt{ssl} } : (SSL_verify_mode => 0);
        IO::Socket::SSL->start_SSL($socket, %ssl)
            or die "TLS handshake with port $port: $SSL_ERROR\n";
    }
    $socket->blocking(0);

    return $socket;
}


sub request {
    my ($method, $uri, %opt) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $deadline = time + ($opt{timeout} // TIMEOUT);
    my $socket   = $opt{socket}
        || eval { connect_to($opt{port}, ssl => $opt{ssl}) }
        or return Test::Idpay::Response->new(error => "connect: $@");

    my $body    = $opt{body};
    my $chunked = $opt{chunked};
    my $sent    = 1;

    if (defined $opt{raw}) {
        $sent = send_bytes($socket, $opt{raw}, deadline => $deadline);

    } else {
        my @headers = map { [@$_] } @{ $opt{headers} // [] };
        my %has     = map { lc $_->[0] => 1 } @headers;

        $chunked ||= ref $body && !$has{'content-length'};

        unshift @headers, [ 'Host', 'localhost' ] if !$has{host};
        push @headers,
            $chunked
            ? [ 'Transfer-Encoding', 'chunked' ]
            : [ 'Content-Length', length $body ]
            if defined $body
            && !$has{'content-length'}
            && !$has{'transfer-encoding'};

        my $head = join "\r\n", "$method $uri HTTP/1.1",
            (map {"$_->[0]: $_->[1]"} @headers), '', '';

        if (!defined $body || !$chunked && !ref $body) {
            $sent = send_bytes($socket, $head . ($body // ''),
                deadline => $deadline);
        } else {
            $sent = send_bytes($socket, $head, deadline => $deadline)
                && _send_pieces($socket, $body, $chunked, $deadline);
        }
    }

    return $socket if $opt{no_read};

    my $r = read_response($socket, $method, %opt, deadline => $deadline);
    $r->{error} //= 'not all sent' if !$sent && !$r->status;
    return $r;
}


sub _send_pieces {
    my ($socket, $body, $chunked, $deadline) = @_;

    my $next = ref $body ? $body : do {
        my @once = ($body);
        sub { shift @once };
    };

    while (length(my $piece = $next->() // '')) {
        $piece = sprintf "%x\r\n%s\r\n", length $piece, $piece if $chunked;
        send_bytes($socket, $piece, deadline => $deadline) or return 0;
    }
    return $chunked
        ? send_bytes($socket, "0\r\n\r\n", deadline => $deadline)
        : 1;
}


# Reads while it writes: an early answer must neither block the writer nor be
# lost when the peer closes.
sub send_bytes {
    my ($socket, $bytes, %opt) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $deadline = $opt{deadline} // time + ($opt{timeout} // TIMEOUT);
    my $at       = 0;

    while ($at < length $bytes) {
        my $n = syswrite $socket, $bytes, PIECE, $at;
        if (defined $n) {
            $at += $n;
            next;
        }
        return 0 if !_again($socket);
        return 0 if !_await($socket, $deadline, 1);
        _fill($socket) if IO::Select->new($socket)->can_read(0);
    }
    return 1;
}


sub _again {
    my $socket = shift;

    return 1 if $!{EAGAIN} || $!{EWOULDBLOCK} || $!{EINTR};
    return 0 if !$socket->isa('IO::Socket::SSL');
    return $SSL_ERROR == SSL_WANT_READ || $SSL_ERROR == SSL_WANT_WRITE;
}


sub _await {
    my ($socket, $deadline, $write) = @_;

    my $left = $deadline - time;
    return 0 if $left <= 0;

    my $set = IO::Select->new($socket);
    $! = 0;
    my ($r, $w) = IO::Select->select($set, $write ? $set : undef, undef, $left);

    # a signal is no timeout: the caller looks again
    return $r || $w || $!{EINTR} ? 1 : 0;
}


# What was read and not yet used lives with the socket, so that successive
# answers of one connection can be read.
sub _state {
    my $socket = shift;
    return ${*$socket}{idpay_client} //= { buffer => '', end => undef };
}


# Reads once. False at the end of the stream or when there is nothing yet.
sub _fill {
    my $socket = shift;
    my $state  = _state($socket);

    return 0 if defined $state->{end};

    my $n = sysread $socket, $state->{buffer}, PIECE, length $state->{buffer};
    if (!defined $n) {
        $state->{end} = $!{ECONNRESET} ? 'reset' : "$!" if !_again($socket);
        return 0;
    }
    $state->{end} = 'closed' if $n == 0;
    return $n;
}


# Waits for more; dies with the reason when there is none.
sub _more {
    my ($socket, $deadline) = @_;
    my $state = _state($socket);

    until (_fill($socket)) {
        die { error => $state->{end} } if defined $state->{end};
        die { error => 'timeout' }     if !_await($socket, $deadline);
    }
    return;
}


sub read_response {
    my ($socket, $method, %opt) = @_;

    my $deadline = $opt{deadline} // time + ($opt{timeout} // TIMEOUT);
    my @interim;

    while (1) {
        my $r = Test::Idpay::Response->new(
            socket  => $socket,
            sink    => $opt{sink},
            interim => [@interim],
        );

        if (!eval { _read_one($r, $method // 'GET', $deadline); 1 }) {
            die $@ if !ref $@;
            $r->{error} = $@->{error};
        }
        delete $r->{sink};
        _keep_problem($r);

        if ($r->status >= 100 && $r->status < 200 && $r->status != 101) {
            push @interim, $r;
            next;
        }
        return $r;
    }
}


sub _keep_problem {
    my $r = shift;

    my $body = delete $r->{problem} // return;
    keep_problem({
        status      => $r->status,
        retry_after => scalar $r->header('Retry-After'),
        encoding    => scalar $r->header('Content-Encoding'),
        body        => $body,
    });
    return;
}


sub _read_one {
    my ($r, $method, $deadline) = @_;

    my $socket = $r->socket;
    my $buffer = \_state($socket)->{buffer};

    while (index($$buffer, "\r\n\r\n") < 0) {
        if (!eval { _more($socket, $deadline); 1 }) {
            $r->{raw} = $$buffer;
            die $@;
        }
    }

    my $head = substr $$buffer, 0, index($$buffer, "\r\n\r\n") + 4, '';
    my ($line, @lines) = split /\r\n/, $head;

    $r->{raw} = $head;
    die { error => 'no HTTP' } if ($line // '') !~ m{^HTTP/1\.[01] (\d{3})\b};
    $r->{status}  = $1;
    $r->{headers} = [ map { [ split /:[ \t]*/, $_, 2 ] } @lines ];

    if ($method eq 'HEAD' || $r->status =~ /^(?:1..|204|304)$/) {
        $r->{complete} = 1;
        return;
    }
    $r->{problem} = '' if is_problem($r->header('Content-Type'));

    if (grep { lc eq 'chunked' } $r->headers('Transfer-Encoding')) {
        _read_chunked($r, $buffer, $deadline);

    } elsif (defined(my $length = $r->header('Content-Length'))) {
        _take($r, $buffer, $length, $deadline);

    } else {
        eval { _take($r, $buffer, ~0 >> 1, $deadline) };
        die $@ if !ref $@ || $@->{error} ne 'closed';
    }
    $r->{complete} = 1;
    return;
}


sub _take {
    my ($r, $buffer, $length, $deadline) = @_;

    while ($length > 0) {
        _more($r->socket, $deadline) if !length $$buffer;

        my $data = substr $$buffer, 0, $length, '';
        $length      -= length $data;
        $r->{length} += length $data;
        $r->{problem} .= $data if defined $r->{problem};

        if ($r->{sink}) {
            $r->{sink}->($data);
        } else {
            $r->{body} .= $data;
            $r->{raw}  .= $data;
        }
    }
    return;
}


sub _line {
    my ($r, $buffer, $deadline) = @_;

    _more($r->socket, $deadline) while index($$buffer, "\r\n") < 0;

    my $line = substr $$buffer, 0, index($$buffer, "\r\n") + 2, '';
    $r->{raw} .= $line if !$r->{sink};
    return substr $line, 0, -2;
}


sub _read_chunked {
    my ($r, $buffer, $deadline) = @_;

    while (1) {
        my $line = _line($r, $buffer, $deadline);
        die { error => 'bad chunk' } if $line !~ /^([0-9a-fA-F]+)\s*(?:;|$)/;

        my $size = hex $1;
        last if $size == 0;

        _take($r, $buffer, $size, $deadline);
        die { error => 'bad chunk' } if length _line($r, $buffer, $deadline);
    }

    # Trailers, if any, and the empty line.
    1 while length _line($r, $buffer, $deadline);
    return;
}


1;
