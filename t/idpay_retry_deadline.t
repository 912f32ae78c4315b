#!/usr/bin/env perl

# The time for a whole call: what waits is given up when it is over, what has
# begun to be answered is not.

use strict;
use warnings;

use Idpay::Filler qw(filler);
use Socket qw(AF_INET INADDR_LOOPBACK SOCK_STREAM pack_sockaddr_in
    unpack_sockaddr_in);
use Test::Idpay;
use Test::Idpay::Client  qw(connect_to send_bytes);
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

# How much later than its time something may happen on a busy machine.
use constant LATE => 1.5;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');

# Takes connections and never answers; takes no connection, having no room.
my $mute = silent_socket(100);
my $full = silent_socket(0);
my @room = map { connection_to($full) } 1 .. 4;

sub silent_socket {
    my $backlog = shift;

    socket my $socket, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
    bind $socket, pack_sockaddr_in(0, INADDR_LOOPBACK) or die "bind: $!";
    listen $socket, $backlog or die "listen: $!";
    return $socket;
}

sub connection_to {
    my $listening = shift;

    my $socket = IO::Socket::IP->new(Proto => 'tcp', Blocking => 0,
        Family => AF_INET) or die "socket: $!";
    connect $socket, getsockname $listening;
    return $socket;
}

sub port_of { return (unpack_sockaddr_in(getsockname $_[0]))[0] }

my $off = 'idpay_retry off; idpay_breaker off;';
my %upstreams = (
    brief => "idpay_timeout 500ms; $off",
    long  => $off,
    again => 'idpay_timeout 3s; idpay_breaker off;'
        . 'idpay_retry tries=3 base=200ms jitter=none;',
    never => 'idpay_timeout 5s; idpay_breaker off;'
        . 'idpay_retry tries=3 base=9s jitter=none;',
    fragile => 'idpay_retry off; idpay_breaker failures=2 open=50s;',
    broken  => 'idpay_timeout 300ms; idpay_retry off;'
        . 'idpay_breaker failures=2 open=50s;',
    mute  => $off,
    full  => $off,
    plain => "idpay_tls off; $off",
);
my %server = (
    mute  => '127.0.0.1:' . port_of($mute),
    full  => '127.0.0.1:' . port_of($full),
    plain => '127.0.0.1:' . port_of($mute),
);

my $upstreams = join '', map { <<"CONF" } sort keys %upstreams;
    upstream $_ {
        server          @{[ $server{$_} // '%%SIM_gate%%' ]};
        idpay_provider  generic;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_adaptive  off;
        $upstreams{$_}
    }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;
    client_max_body_size 20m;

$upstreams

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /brief/   { idpay_pass brief; }
        location /long/    { idpay_pass long; }
        location /again/   { idpay_pass again; }
        location /never/   { idpay_pass never; }
        location /fragile/ { idpay_pass fragile; }
        location /broken/  { idpay_pass broken; }
        location /mute/    { idpay_pass mute;  idpay_timeout 500ms; }
        location /full/    { idpay_pass full;  idpay_timeout 500ms; }
        location /plain/   { idpay_pass plain; idpay_timeout 500ms; }

        # in place of the upstream's
        location /shorter/ {
            idpay_timeout 500ms;
            idpay_pass long;
            location /shorter/inside/ { idpay_pass long; }
        }
        location /longer/ { idpay_pass brief; idpay_timeout 20s; }
        location /many/   { idpay_pass brief; idpay_timeout 4s; }

        location /stream/ {
            idpay_pass long;
            idpay_timeout 4s;
        }
        location /stream/direct/ {
            idpay_pass long;
            idpay_timeout 4s;
            proxy_buffering off;
        }
    }
    server {
        listen 127.0.0.1:%%PORT_8081%% http2;
        location /brief/ { idpay_pass brief; }
    }
}
CONF
$t->run;


# Makes a call; the answer, and the seconds that it took.
sub timed {
    my ($method, $uri, %opt) = @_;

    my $began = time;
    my $r     = $t->http($method, $uri, timeout => 30, %opt);
    return ($r, time - $began);
}


sub hang {
    $sim->behave->clear->misbehave(delay_ms => 60_000, times => -1);
    return;
}


sub gone { return wait_until(20, sub { $sim->open_connections == 0 }) }


sub is_timeout {
    my ($r, $took, $seconds, $outcome, $name, %opt) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $problem = $r->json;
    is $r->status, 504, "$name: 504";
    is_deeply [ @$problem{qw(status code outcome attempts)},
        $problem->{retryable} ? 1 : 0 ],
        [ 504, 'provider_timeout', $outcome, $opt{attempts} // 1,
        $outcome eq 'unknown' ? 0 : 1 ], "$name: the problem"
        or diag explain $problem;
    ok $took >= $seconds * 0.95 && $took < $seconds + LATE, "$name: in time"
        or diag "$took s";
    return;
}


$t->measured('an attempt in flight' => sub {
    for (
        [ GET  => '/brief/',          'not_applied' ],
        [ PUT  => '/brief/',          'not_applied' ],
        [ POST => '/brief/',          'unknown' ],
        [ POST => '/shorter/',        'unknown' ],
        [ GET  => '/shorter/inside/', 'not_applied' ],
        )
    {
        my ($method, $uri, $outcome) = @$_;
        hang();

        my ($r, $took) = timed($method, $uri,
            $method eq 'GET' ? () : (body => 'abc'));
        is_timeout($r, $took, 0.5, $outcome, "$method $uri");
        ok gone(), 'its connection is closed';

        $sim->behave;
        is $t->get('/long/', socket => $r->socket)->status, 200,
            "and the caller's is not";
    }
    $t->expect_access_log(qr{POST /brief/ .* 504 .* upstream_status="504"});
});


$t->measured('a longer time in a location' => sub {
    $sim->behave->clear->misbehave(delay_ms => 900);
    my ($r, $took) = timed(GET => '/longer/');
    is $r->status, 200, 'counts';
    ok $took > 0.85, 'for longer than that of the upstream';
});


$t->measured('a later attempt' => sub {
    $sim->behave->clear->misbehave(status => 503)
        ->misbehave(delay_ms => 60_000);
    my ($r, $took) = timed(GET => '/again/');
    is_timeout($r, $took, 3, 'not_applied', 'the second', attempts => 2);
    is scalar @{ $sim->requests }, 2, 'there were two';
    $t->expect_access_log(
        qr{GET /again/ .* 504 .* upstream_status="503, 504"});
});


$t->measured('a delay that would end later' => sub {
    $sim->behave->clear->misbehave(status => 503, times => -1, body => 'no');
    my ($r, $took) = timed(GET => '/never/');
    is $r->status, 503, 'the answer that was there';
    is $r->header('Retry-After'), 9, 'with the delay';
    ok $took < 4, 'at once' or diag "$took s";
    is scalar @{ $sim->requests }, 1, 'one attempt';

    # 200 ms and 400 ms fit in, with what the attempts take
    $sim->behave->clear->misbehave(status => 503, times => -1);
    ($r, $took) = timed(GET => '/again/');
    is scalar @{ $sim->requests }, 3, 'delays that fit in are begun';

    $sim->behave->clear->misbehave(status => 429, times => -1,
        retry_after => 10);
    ($r, $took) = timed(POST => '/again/', body => 'x');
    is $r->status, 429, "the provider's own delay";
    is_deeply [ $r->headers('Retry-After') ], [10], 'is told as it is';
    ok $took < 2.5, 'at once' or diag "$took s";
    $sim->behave;
});


# Nothing was sent, so the provider did nothing.
$t->measured('no connection yet' => sub {
    for my $uri (qw(/full/ /mute/)) {
        for my $method (qw(GET POST)) {
            my ($r, $took) = timed($method, $uri,
                $method eq 'GET' ? () : (body => 'abc'));

            my $problem = $r->json;
            is $r->status, 503, "$method $uri: 503";
            is $problem->{code}, 'provider_unavailable', 'with its code';
            is $problem->{outcome}, 'not_applied', 'outcome';
            ok $took >= 0.47 && $took < 0.5 + LATE, 'in time'
                or diag "$took s";
        }
    }
});


$t->measured('a provider that does not read' => sub {
    for my $case ([ PUT => 'not_applied' ], [ POST => 'unknown' ]) {
        my ($method, $outcome) = @$case;
        my ($r, $took)
            = timed($method, '/plain/', body => filler(0, 10_000_000));
        is $r->status, 504, $method;
        is $r->json->{outcome}, $outcome, 'outcome';
    }
});


$t->measured('Prefer: wait' => sub {
    hang();
    my @shorter = ('wait=1', 'respond-async, wait=1', 'WAIT=1', 'wait="1"',
        'wait=1;x=y', 'handling=lenient; a="wait=9", wait=1');
    my $began = time;
    my @calls = map {
        park($t, 1, uri => '/long/', headers => [ [ 'Prefer', $_ ] ])
    } @shorter;
    push @calls, park($t, 1, uri => '/long/',
        headers => [ [ 'Prefer', 'wait=30' ], [ 'prefer', 'wait=1' ] ]);
    is_timeout($t->read_response(shift @calls), time - $began, 1,
        'not_applied', $_) for @shorter, 'two fields';

    my ($r, $took) = timed(GET => '/brief/',
        headers => [ [ 'Prefer', 'wait=20' ] ]);
    is_timeout($r, $took, 0.5, 'not_applied', 'never longer');
    ok gone(), 'no connection is left';

    $sim->behave->clear;
    for my $method (qw(GET POST)) {
        ($r, $took) = timed($method, '/long/', body => 'x',
            headers => [ [ 'Prefer', 'wait=0' ] ]);
        is_timeout($r, $took, 0, 'not_applied', "$method, none at all",
            attempts => 0);
    }
    is_deeply $sim->requests, [], 'nothing was sent';

    # each would be 504 if it were a number
    my @none = ('wait', 'wait=', 'wait=-1', 'wait=0.1', 'wait=0s', 'wait=x',
        'waiting=0', 'wait 0', 'a;wait=0', '', 'respond-async', '=0');
    for (@none) {
        is $t->get('/long/', headers => [ [ 'Prefer', $_ ] ])->status, 200,
            "'$_' is none";
    }
});


$t->measured('what is answered takes its time' => sub {
    $sim->behave->clear->misbehave(times => 2, trickle_ms => 20,
        raw => "HTTP/1.1 200 OK\r\nContent-Length: 250\r\n\r\n" . 'x' x 250);
    my $began = time;
    my %call  = map { $_ => park($t, 1, uri => $_) }
        qw(/stream/ /stream/direct/);

    for my $uri (sort keys %call) {
        my $r = $t->read_response($call{$uri});
        is $r->status, 200, "$uri: 200";
        ok time - $began > 4.2, 'longer than its time';
        ok $r->complete, 'complete';
        is $r->length, 250, 'all of it';
    }
});


$t->measured('fifty at once' => sub {
    hang();
    my $began = time;
    my @calls = park($t, 50, uri => '/many/', method => 'POST', body => 'x');
    my @r     = map { $t->read_response($_) } @calls;

    is_deeply [ map { $_->status . $_->json->{outcome} } @r ],
        [ ('504unknown') x 50 ], 'each is told';
    ok time - $began < 4 + 2 * LATE, 'in time';
    is scalar @{ $sim->requests }, 50, 'each was made once';
    ok gone(), 'no connection is left';
    $sim->behave;
    is $t->get('/brief/')->status, 200, 'calls go on';
});


$t->measured('a short wait of a caller is no failure of the provider' => sub {
    hang();
    my @calls = park($t, 8, uri => '/fragile/',
        headers => [ [ 'Prefer', 'wait=1' ] ]);
    is_deeply [ map { $t->read_response($_)->status } @calls ],
        [ (504) x 8 ], 'eight callers that did not wait';

    $sim->behave;
    is $t->get('/fragile/')->status, 200, 'the breaker is closed';

    hang();
    $t->get('/broken/') for 1, 2;
    $sim->behave;
    my $r = $t->get('/broken/');
    is $r->status, 503, "two of the gateway's own time";
    is $r->json->{code}, 'provider_unavailable', 'open it';
});


# Ten streams of one connection, and ten more on the same.
$t->measured('HTTP/2' => sub {
    my $frame = sub {
        my ($type, $flags, $stream, $bytes) = @_;
        return substr(pack('N', length $bytes), 1)
            . pack('CCN', $type, $flags, $stream) . $bytes;
    };
    my $call = sub {
        my $stream = shift;
        my %header = (':method' => 'GET', ':scheme' => 'http',
            ':authority' => 'a', ':path' => "/brief/$stream");
        return $frame->(1, 5, $stream, join '',
            map { pack 'C C/a C/a', 0, $_, $header{$_} } sort keys %header);
    };
    my $socket = connect_to($t->port(8081));
    send_bytes($socket,
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . $frame->(4, 0, 0, ''));

    for my $round (0, 1) {
        hang();
        my $began = time;
        $socket->blocking(0);
        send_bytes($socket, join '', map { $call->(20 * $round + 2 * $_ + 1) }
            0 .. 9);
        $socket->blocking(1);

        local $SIG{ALRM} = sub { die "no answer in time\n" };
        alarm 30;
        my (%body, %ended);
        while (keys %ended < 10 && read $socket, my $head, 9) {
            my ($high, $low, $type, $flags, $stream)
                = unpack 'C n C C N', $head;
            read $socket, my $bytes, $high << 16 | $low;

            $body{$stream} .= $bytes if $type == 0;
            $ended{$stream} = 1      if $type == 0 && $flags & 1;
        }
        alarm 0;

        is_deeply [ map {/"status":504,.*"provider_timeout"/ ? 1 : $_}
                values %body ], [ (1) x 10 ], 'the problem, ten times';
        ok time - $began < 0.5 + 2 * LATE, 'in time';
        ok gone(), 'no connection is left';
    }
    $sim->behave;
});

done_testing;
