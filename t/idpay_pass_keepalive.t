# Connections are kept on both sides: no more of them at the provider than
# with proxy_pass, and calls on one connection stay in order.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Client qw(connect_to send_bytes);
use Test::Idpay::Pass qw(plain);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my %sim = (
    8080 => $t->sim('generic', name => 'gate'),
    8081 => $t->sim('generic', name => 'theirs'),
);

my $location = 'location / { idpay_pass gate; }';
my $plain    = plain($location);

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_theirs%%; keepalive 8; }

    upstream brief {
        server              %%SIM_gate%%;
        keepalive           2;
        keepalive_requests  3;
        idpay_provider      generic;
        idpay_auth          header X-Key;
        idpay_secret        key file:%%SECRET_key%%;
        idpay_host          generic.test;
        idpay_retry         tries=2 base=10ms;
        idpay_breaker       off;
    }

    idpay_trusted_certificate %%CA%%;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        $location

        location /brief/ {
            idpay_pass brief;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        $plain
    }
}
CONF

$t->run;


# What $code makes of connections at the provider, here and with proxy_pass.
sub opened {
    my $code = shift;

    return map {
        my $before = $sim{$_}->connections;
        $code->($_);
        $sim{$_}->connections - $before;
    } 8080, 8081;
}


sub one_socket {
    my ($port, @calls) = @_;

    my $socket = connect_to($t->port($port));
    for (@calls) {
        my ($method, $uri, @body) = @$_;
        my $r = $t->http($method, $uri, socket => $socket,
            @body ? (body => $body[0]) : ());
        return 0 if !$r->complete || $r->status != 200;
    }
    return 1;
}


subtest 'fifty, one after the other' => sub {
    my @kinds = (
        [ GET => '/a' ],
        [ HEAD => '/__bytes/1000' ],
        [ POST => '/a', 'abc' ],
        [ GET => '/__bytes/100000' ],
        [ PUT => '/a', '' ],
    );
    my ($ours, $theirs) = opened(sub {
        ok one_socket($_[0], (@kinds) x 10), 'fifty answers';
    });
    is $ours, 1, 'one connection';
    is $theirs, 1, 'as with proxy_pass';
};


subtest 'after answers of all kinds' => sub {
    my @rules = (
        { status => 404, body => 'x' },
        { status => 500, body => 'x' },
        { status => 204 },
        { status => 304 },
        { chunked => 1, body => 'x' x 100_000 },
        { chunked => 1, body => '' },
        { status => 503, chunked => 1, body => 'x' x 60_000 },
        { body => '' },
    );
    my ($ours, $theirs) = opened(sub {
        my $port = shift;
        for (@rules) {
            $sim{$port}->misbehave(%$_);
            $t->get('/', port => $port);
        }
    });
    is $ours, $theirs, 'as many connections as with proxy_pass';
    is $ours, 0, 'the one that is there';
};


subtest 'twenty at once' => sub {
    my ($ours, $theirs) = opened(sub {
        my $port = shift;
        my $sim  = $sim{$port}->clear->misbehave(hold => 1, times => 20);

        my @sockets
            = map { $t->get("/$_", port => $port, no_read => 1) } 1 .. 20;
        $sim->wait_requests(20);
        $sim->release;
        is_deeply [ map { $t->read_response($_)->json->{target} } @sockets ],
            [ map {"/$_"} 1 .. 20 ], 'each caller gets its own';

        my $kept = wait_until(20, sub { $sim->open_connections == 8 });
        ok $kept, 'the eight that "keepalive" says are kept';
        $t->get('/', port => $port) for 1 .. 20;
    });
    is $ours, $theirs, 'as many connections as with proxy_pass';
};


# Where a call meets the connection as it is closed, it is made again.
subtest 'a connection that the provider closes' => sub {
    for ([ 8080, '/brief' ], [ 8081, '' ]) {
        my ($port, $uri) = @$_;
        my $sim = $sim{$port}->behave;
        $sim->misbehave(close => 'after_answer', times => 20, match => 'bye$');

        is $t->get("$uri/bye", port => $port)->status, 200, "$port: an answer"
            for 1 .. 3;
        is $t->get("$uri/", port => $port)->status, 200, "$port: and another";
    }
};


subtest 'keepalive_requests of the upstream' => sub {
    my $sim    = $sim{8080}->behave;
    my $before = $sim->connections;

    is $t->get('/brief/')->status, 200, "call $_" for 1 .. 9;
    is $sim->connections - $before, 3, 'three calls to a connection';
};


subtest 'a pipeline' => sub {
    my $raw = join '',
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /__bytes/7 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "PUT /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        . "2\r\nxy\r\n0\r\n\r\n",
        "GET /5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

    for my $port (8080, 8081) {
        for my $size (length $raw, 1, 37) {
            $sim{$port}->behave->clear->misbehave(delay_ms => 20, times => 5);

            my $socket = connect_to($t->port($port));
            send_bytes($socket, $_) for unpack "(a$size)*", $raw;

            my @r = map { $t->read_response($socket, $_) }
                qw(GET HEAD POST PUT GET);
            is_deeply [ map { $_->status } @r ], [ (200) x 5 ],
                "$port, $size bytes: five answers";
            is_deeply [ map { $_->json->{target} } @r ],
                [ '/1', undef, '/3', '/4', '/5' ], 'in order';
            is_deeply [ map { $_->{body} } @{ $sim{$port}->requests } ],
                [ '', '', 'abc', 'xy', '' ], 'with their bodies';
            is $t->read_response($socket)->error, 'closed', 'then it closes';
        }
    }
};


# What is behind a refused call is a call of its own.
subtest 'a pipeline with an answer of nginx in it' => sub {
    $sim{8080}->behave->misbehave(close => 'no_answer', match => '^/dead');

    my $socket = connect_to($t->port(8080));
    send_bytes($socket, join '',
        "POST /dead HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "GET /5 HTTP/1.1\r\nHost: a\r\n\r\n");
    my @r = map { $t->read_response($socket) } 1, 2;

    is $r[0]->json->{code}, 'provider_error', 'a problem';
    is $r[1]->json->{target}, '/5', 'and the next answer';
};

done_testing;
