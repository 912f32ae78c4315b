package Test::Idpay::Load;

# Many calls at a time over kept connections, made by a child process that
# does nothing else.
#
#   load($t, callers => 200, seconds => 30, %opt)
#       each caller makes one call after the other
#   load($t, rate => 200, seconds => 30, %opt)
#       so many calls a second, however long they take
#   begin_load($t, ...)      the same while the test goes on; the result is
#                            that of ->result, which waits for it
#   park($t, $n, %opt)       sends $n calls, each over its own connection, and
#                            waits for none: a list of sockets, which
#                            $t->read_response takes
#   under_way($t, $n)        waits until so many calls are under way in all
#                            workers; true when they are. It asks the location
#                            /calls, which has "access_log off; stub_status;"
#
# Options: method (GET), uri (/), headers ([[name, value], ...]), body, each of
# these a value or code that is given the number of the call, from 0 on, and
# runs in the child; port, of the gateway by default; timeout: seconds for what
# is under way at the end (60).
#
# The result is a hash:
#   calls      that were begun
#   status     {status => calls}, of those with a whole answer
#   errors     {reason => calls}, of the others: closed, reset, timeout (no
#              answer up to the end), "no HTTP", ...
#   p50, p99   ms, of the calls with an answer
#
# Problem documents are kept for Test::Idpay::Problem.

use strict;
use warnings;

use EV;
use Exporter   qw(import);
use Mojo::JSON qw(decode_json encode_json);
use POSIX      qw(_exit);
use Socket     qw(AF_INET INADDR_LOOPBACK IPPROTO_TCP SOCK_STREAM TCP_NODELAY
    pack_sockaddr_in);
use Test::Idpay::Problem qw(is_problem keep_problem);
use Test::Idpay::Process qw(wait_until);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(load begin_load park under_way);

# EV's handler would wake whoever sleeps when a process has been stopped.
$SIG{CHLD} = 'DEFAULT';

# A caller whose call failed waits as many seconds, lest it spin.
use constant { PIECE => 131_072, PAUSE => 0.05 };


sub load { return begin_load(@_)->result }


sub begin_load {
    my ($t, %opt) = @_;

    $opt{port} //= $t->port(8080);
    die "callers or rate?\n" if !$opt{callers} == !$opt{rate};
    die "how many seconds?\n" if !$opt{seconds};

    pipe my $read, my $write or die "pipe: $!";
    my $pid = fork // die "fork: $!";

    if (!$pid) {
        close $read;
        @SIG{qw(INT TERM HUP)} = ('DEFAULT') x 3;
        my $result = eval { encode_json(_run(\%opt)) };
        print {$write} $result // "$@";
        close $write;
        _exit(0);
    }
    return bless { pid => $pid, read => $read, owner => $$ }, __PACKAGE__;
}


sub result {
    my $self = shift;

    return $self->{result} //= do {
        local $/;
        my $text = readline $self->{read};
        $self->_reap;
        $text =~ /^\{/ ? decode_json($text) : die "the load failed: $text\n";
    };
}


sub _reap {
    my $self = shift;

    local ($?, $!);
    waitpid delete $self->{pid}, 0;
    return;
}


sub DESTROY {
    my $self = shift;

    return if $self->{owner} != $$ || !$self->{pid};
    kill KILL => $self->{pid};
    $self->_reap;
    return;
}


sub park {
    my ($t, $n, %opt) = @_;

    return map {
        $t->http(
            $opt{method} // 'GET', '',
            port    => $opt{port} // $t->port(8080),
            raw     => _bytes(\%opt, $_),
            no_read => 1
        );
    } 0 .. $n - 1;
}


sub under_way {
    my ($t, $n) = @_;

    return wait_until(20, sub {
        my ($calls) = $t->get('/calls')->body =~ /Writing: (\d+)/;
        $calls == $n + 1;
    });
}


sub _bytes {
    my ($opt, $number) = @_;

    my ($method, $uri, $headers, $body)
        = map { ref eq 'CODE' ? $_->($number) : $_ }
        @$opt{qw(method uri headers body)};

    return join "\r\n",
        ($method // 'GET') . ' ' . ($uri // '/') . ' HTTP/1.1',
        'Host: localhost',
        (map {"$_->[0]: $_->[1]"} @{ $headers // [] }),
        defined $body ? 'Content-Length: ' . length $body : (),
        '', $body // '';
}


# The child's part. A connection is a hash: the socket fh and its watcher io,
# what is `out` and not yet sent, what came `in`, when its call was `begun`,
# the `problem` that came, and `then`, which is told how it ended.

my ($opt, $end, $callers, %result, @took, @idle, %busy);


sub _run {
    $opt = shift;

    local $SIG{PIPE} = 'IGNORE';
    EV::now_update;
    %result  = (calls => 0, status => {}, errors => {});
    $end     = time + $opt->{seconds};
    $callers = $opt->{callers};

    my $limit = EV::timer $opt->{seconds} + ($opt->{timeout} // 60), 0, sub {
        $result{errors}{timeout} += keys %busy;
        EV::break;
    };
    my $first = $callers
        ? EV::timer 0, 0, sub { _next() for 1 .. $callers }
        : _arrivals();
    EV::run;

    @took = sort { $a <=> $b } @took;
    $result{p50} = $took[ $#took * 0.5 ];
    $result{p99} = $took[ $#took * 0.99 ];
    return \%result;
}


# What a caller does when its last call has ended.
sub _next {
    if (time >= $end) {
        EV::break if --$callers == 0;
        return;
    }
    _call(sub {
        my $error = shift;
        $error ? EV::once undef, 0, PAUSE, sub { _next() } : _next();
    });
    return;
}


sub _arrivals {
    my $all   = int($opt->{rate} * $opt->{seconds});
    my $start = time;

    my $timer;
    $timer = EV::timer 0, 1 / $opt->{rate}, sub {
        my $due = 1 + int((time - $start) * $opt->{rate});
        $due = $all if $due > $all;

        while ($result{calls} < $due) {
            _call(sub { EV::break if $result{calls} == $all && !%busy });
        }
        $timer->stop if $due == $all;
    };
    return $timer;
}


sub _call {
    my $then = shift;

    my $c = pop @idle // {};
    @$c{qw(out in framing status problem begun then)}
        = (_bytes($opt, $result{calls}++), '', '', (undef) x 2, time, $then);
    $c->{bare} = $c->{out} =~ /^HEAD /;
    $busy{$c}  = $c;

    if (!$c->{fh}) {
        _connect($c) or return _ended($c, "$!");
    }
    return _write($c);
}


sub _connect {
    my $c = shift;

    socket my $fh, AF_INET, SOCK_STREAM, 0 or return 0;
    $fh->blocking(0);
    setsockopt $fh, IPPROTO_TCP, TCP_NODELAY, 1;
    connect $fh, pack_sockaddr_in($opt->{port}, INADDR_LOOPBACK)
        or $!{EINPROGRESS}
        or return 0;

    $c->{fh} = $fh;
    $c->{io} = EV::io $fh, EV::READ, sub {
        my (undef, $events) = @_;
        _write($c) if $events & EV::WRITE && $c->{fh};
        _read($c)  if $events & EV::READ  && $c->{fh};
    };
    return 1;
}


sub _write {
    my $c = shift;

    my $n = syswrite $c->{fh}, $c->{out};
    if (defined $n) {
        substr $c->{out}, 0, $n, '';
    } elsif (!$!{EAGAIN}) {
        return _ended($c, _reason());
    }
    $c->{io}->events(EV::READ | (length $c->{out} ? EV::WRITE : 0));
    return;
}


sub _reason { return $!{ECONNRESET} || $!{EPIPE} ? 'reset' : "$!" }


sub _read {
    my $c = shift;

    my $n = sysread $c->{fh}, $c->{in}, PIECE, length $c->{in};
    if (!$n) {
        return if !defined $n && $!{EAGAIN};
        my $whole = defined $n && $c->{framing} eq 'close';
        return _ended($c, $whole ? undef : defined $n ? 'closed' : _reason());
    }
    return _ended($c, 'not asked for') if !$c->{then};

    _read_head($c) if !$c->{status};
    _ended($c)     if $c->{status} && _is_whole($c);
    return;
}


sub _read_head {
    my $c = shift;

    my $end = index $c->{in}, "\r\n\r\n";
    return if $end < 0;

    my $head = substr $c->{in}, 0, $end + 4, '';
    my ($status) = $head =~ m{^HTTP/1\.[01] (\d{3})\b}
        or return _ended($c, 'no HTTP');
    return _read_head($c) if $status < 200;

    $c->{status}  = $status;
    $c->{close}   = $head =~ /^Connection: *close/mi;
    $c->{framing} = $c->{bare} || $status =~ /^[23]04$/ ? 0
        : $head =~ /^Transfer-Encoding: *chunked/mi     ? 'chunked'
        : $head =~ /^Content-Length: *(\d+)/mi          ? $1
        :                                                 'close';

    $c->{problem} = {
        status      => $status,
        retry_after => _header($head, 'Retry-After'),
        encoding    => _header($head, 'Content-Encoding'),
        body        => '',
    } if !$c->{bare} && is_problem(_header($head, 'Content-Type'));
    return;
}


sub _header {
    my ($head, $name) = @_;
    return $head =~ /^$name: *(.*?)\r$/mi ? $1 : undef;
}


sub _is_whole {
    my $c = shift;

    return 0 if $c->{framing} eq 'close';
    return length $c->{in} >= $c->{framing} if $c->{framing} ne 'chunked';

    while ($c->{in} =~ /^([0-9a-fA-F]+)[^\n]*\r\n/) {
        my $length = $+[0] + hex($1) + 2;
        return 0 if length $c->{in} < $length;
        my $chunk = substr $c->{in}, 0, $length, '';
        $c->{problem}{body} .= substr $chunk, -2 - hex $1, -2
            if $c->{problem};
        return 1 if hex $1 == 0;
    }
    return 0;
}


# Where it is no call that ended, it is the peer that closed a connection.
sub _ended {
    my ($c, $error) = @_;

    my $then = delete $c->{then};
    delete $busy{$c};

    if (!$then) {
        @idle = grep { $_ != $c } @idle;
    } elsif (defined $error) {
        $result{errors}{$error}++;
    } else {
        $result{status}{ $c->{status} }++;
        if ($c->{problem}) {
            $c->{problem}{body} .= $c->{in};
            keep_problem($c->{problem});
        }
        push @took, (time - $c->{begun}) * 1000;
    }

    if (defined $error || $c->{close} || $c->{framing} eq 'close') {
        delete @$c{qw(io fh)};
    } else {
        push @idle, $c;
    }
    $then->($error) if $then;
    return;
}


1;
