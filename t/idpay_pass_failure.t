# Calls without an answer: time limits, providers that are not there, second
# servers; and providers that try to steer the gateway.

use strict;
use warnings;

use IO::Socket::INET;
use Socket qw(AF_INET INADDR_LOOPBACK SOCK_STREAM pack_sockaddr_in
    unpack_sockaddr_in);
use Test::Idpay;
use Test::Idpay::Pass qw(servers);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic');
$t->secret('key');

# Bound and not listening: refuses connections.
my $closed = $t->port('closed');

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

    my $socket = IO::Socket::INET->new(Proto => 'tcp', Blocking => 0)
        or die "socket: $!";
    connect $socket, getsockname $listening;
    return $socket;
}

sub port_of { return (unpack_sockaddr_in(getsockname $_[0]))[0] }

my %servers = (
    one    => 'server %%SIM_generic%%;',
    second => 'server 127.0.0.1:%%PORT_closed%%; server %%SIM_generic%%;',
    mute   => 'server 127.0.0.1:' . port_of($mute) . ';',
    full   => 'server 127.0.0.1:' . port_of($full) . ';',
    none   => 'server 127.0.0.1:%%PORT_closed%%;',
    nones  => 'server 127.0.0.1:%%PORT_closed%% max_fails=1;'
        . 'server 127.0.0.2:%%PORT_closed%% max_fails=1;',
);
my %limits = (second => 'idpay_retry tries=4 base=10ms; idpay_breaker off;');

my $upstreams = join "\n", map { <<"CONF" } sort keys %servers;
    upstream $_ {
        $servers{$_}
        keepalive       8;
        idpay_provider  generic;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_host      generic.test;
        @{[ $limits{$_} // '%%UNLIMITED%%' ]}
    }

    upstream plain_$_ {
        $servers{$_}
        keepalive  8;
    }
CONF

# At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF');
        location / { idpay_pass one; }
        location /read/ { proxy_read_timeout 200ms; idpay_pass one; }
        location /small/ { proxy_buffer_size 1k; proxy_buffers 4 1k;
            proxy_busy_buffers_size 1k; idpay_pass one; }
        location /second/ { idpay_pass second; }
        location /mute/ { proxy_connect_timeout 300ms; idpay_pass mute; }
        location /full/ { proxy_connect_timeout 300ms; idpay_pass full; }
        location /none/ { idpay_pass none; }
        location /nones/ { idpay_pass nones; }
        location /internal/ { internal; return 200 "internal"; }
        location @named { return 200 "named"; }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

$upstreams

    idpay_trusted_certificate %%CA%%;

$servers
}
CONF

$t->run;


sub both {
    my ($method, $uri, %opt) = @_;
    return map { $t->http($method, $uri, %opt, port => $_) } 8080, 8081;
}


sub is_problem {
    my ($r, $status, $code, $retryable, $outcome, $name) = @_;

    my $problem = $r->json;
    is $r->status, $status, "$name: $status";
    is $r->header('Content-Type'), 'application/problem+json', "$name: type";
    is_deeply [ @$problem{qw(status code provider fault outcome)},
        $problem->{retryable} ? 1 : 0 ],
        [ $status, $code, $problem->{provider}, 'provider', $outcome,
        $retryable ], "$name: what is in it";
    is $problem->{type}, "urn:idpay:problem:$code", "$name: type of problem";
    return;
}


subtest 'a provider that is silent' => sub {
    for my $case ([ GET => 1, 'not_applied' ], [ POST => 0, 'unknown' ],
        [ PUT => 1, 'not_applied' ])
    {
        my ($method, $retryable, $outcome) = @$case;

        $sim->behave->misbehave(delay_ms => 60_000, times => -1);
        my ($ours, $theirs) = both($method, '/read/',
            $method eq 'GET' ? () : (body => 'abc'));
        is $theirs->status, 504, "$method: proxy_pass";
        is_problem($ours, 504, 'provider_timeout', $retryable, $outcome,
            $method);
    }
    ok wait_until(20, sub { $sim->open_connections == 0 }), 'not kept';

    $sim->behave->misbehave(trickle_ms => 1000, body => 'x', times => 2);
    is $t->get('/read/')->status, 504, 'silent in the header';
    $sim->behave;
};


$t->measured('a provider that falls silent' => sub {
    # promised more than it sends, and does not close
    $sim->behave->misbehave(times => 2, keep => 1,
        raw => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    my ($ours, $theirs) = both(GET => '/read/');

    is $ours->status, 200, 'it had begun';
    is $ours->complete, 0, 'and is not complete';
    is $ours->error, $theirs->error, 'as with proxy_pass';
});


subtest 'a header that does not fit' => sub {
    $sim->behave->misbehave(body => 'x', times => 2,
        headers => [ [ 'X-Long', 'l' x 2000 ] ]);
    my ($ours, $theirs) = both(GET => '/small/');
    is $theirs->status, 502, 'proxy_pass';
    is_problem($ours, 502, 'provider_error', 1, 'not_applied', 'GET');

    $sim->behave->misbehave(body => 'x',
        headers => [ [ 'X-Long', 'l' x 2000 ] ]);
    is_problem($t->post('/small/', 'abc'), 502, 'provider_error', 0,
        'unknown', 'POST');
};


subtest 'no provider' => sub {
    for my $uri ('/none/', '/nones/') {
        for my $method (qw(GET POST)) {
            my ($ours, $theirs) = both($method, $uri, body => 'abc');
            is $theirs->status, 502, "$uri, $method: proxy_pass";
            is_problem($ours, 503, 'provider_unavailable', 1, 'not_applied',
                "$uri, $method");
        }
    }

    my $r = $t->http(HEAD => '/none/');
    is $r->status, 503, 'HEAD';
    is $t->get('/', socket => $r->socket)->status, 200, 'without a body';
};


# Nothing of the call was sent, so it may be made again whatever it is.
subtest 'proxy_connect_timeout' => sub {
    for my $uri ('/full/', '/mute/') {
        for my $method (qw(GET POST)) {
            my ($ours, $theirs) = both($method, $uri, body => 'abc');
            is $theirs->status, 504, "$uri, $method: proxy_pass";
            is_problem($ours, 503, 'provider_unavailable', 1, 'not_applied',
                "$uri, $method");
        }
    }
};


subtest 'a second server' => sub {
    $sim->behave->clear;

    for my $method (qw(GET POST PUT)) {
        for my $try (1 .. 4) {
            my @r = both($method, '/second/',
                $method eq 'GET' ? () : (body => "abc$try"));
            is_deeply [ map { $_->status } @r ], [ 200, 200 ],
                "$method is answered by the one that is there";
        }
    }
    my ($first) = grep { $_->{method} eq 'POST' } @{ $sim->requests };
    is $first->{body}, 'abc1', 'with its body';
    is scalar $sim->header($first, 'X-Key'), 1, 'and its credential, once';
    is scalar @{ $sim->requests }, 24, 'no call was made twice';
    $t->expect_access_log(qr{upstream="127.0.0.1:\d+, 127.0.0.1:\d+" }
        . qr{upstream_status="502, 200"});
};


subtest 'X-Accel' => sub {
    for my $to ('/internal/x', '@named', '/') {
        $sim->behave->misbehave(body => 'theirs', times => 1,
            headers => [ [ 'X-Accel-Redirect', $to ] ]);
        my $r = $t->get('/');
        is $r->body, 'theirs', "X-Accel-Redirect: $to reaches nothing";
        is $r->header('X-Accel-Redirect'), undef, 'and is not passed';
    }

    # proxy_pass heeds it: the internal location is there
    $sim->behave->misbehave(body => 'theirs',
        headers => [ [ 'X-Accel-Redirect', '/internal/x' ] ]);
    is $t->get('/', port => 8081)->body, 'internal', 'unlike with proxy_pass';

    # at 1 byte a second this would not end in time
    $sim->behave->misbehave(body => 'x' x 1000,
        headers => [ [ 'X-Accel-Limit-Rate', 1 ] ]);
    is $t->get('/')->length, 1000, 'X-Accel-Limit-Rate';

    $sim->behave->misbehave(body => 'x', headers =>
            [ [ 'X-Accel-Charset', 'utf-8' ], [ 'Content-Type', 'a/b' ] ]);
    is $t->get('/')->header('Content-Type'), 'a/b', 'X-Accel-Charset';
};

done_testing;
