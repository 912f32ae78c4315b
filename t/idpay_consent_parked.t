#!/usr/bin/env perl

# Requests that wait for the provider or for the store: with whatever comes
# behind them, within other requests, with callers who leave, and in workers
# that end.

use strict;
use warnings;

use POSIX qw(_exit);
use Test::Idpay;
use Test::Idpay::Consent qw(begin code come_back give);
use Test::Idpay::Gopay   qw(profile);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t     = Test::Idpay->new;
my $sim   = $t->sim('gopay', tls => 0);
my $after = $t->sim('generic', name => 'after', tls => 0);


sub configure {
    my $store = shift;

    return $t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    $store

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location / { idpay_pass gopay; }
        location = /consent { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
        location /consents/ { idpay_consents gopay; }

        location = /post/callback {
            idpay_consent_callback gopay;
            post_action /after;
        }
        location /post/consents/ {
            idpay_consents gopay;
            post_action /after;
        }
        location /after { internal; proxy_pass http://%%SIM_after%%; }

        location /if/ {
            auth_request /consents/7;
            idpay_consents gopay;
        }
        location /if-not/ {
            auth_request /consents/8;
            idpay_consents gopay;
        }
        location /if-refused/ {
            auth_request /callback;
            idpay_consents gopay;
        }
    }
}
CONF
}


sub test_bodies {
    for my $opt ({ body => 'x' x 100_000 },
        { body => 'x' x 300_000, chunked => 1 })
    {
        my $r = come_back($t, begin($t),
            code    => code($sim, 7),
            options => {%$opt});
        is $r->status, 200, 'a callback with a body that nobody wants';
        $r = $t->get('/consents/7', %$opt);
        is $r->status, 200, 'so with a list';
    }
    return;
}


sub test_pipeline {
    my $begun = begin($t);
    my $code  = code($sim, 9);

    my $socket = $t->http(GET => '/', no_read => 1, raw => join '',
        "GET /callback?code=$code&state=$begun->{state} HTTP/1.1\r\n",
        "Host: a\r\nCookie: $begun->{cookie}\r\n\r\n",
        map {"$_ HTTP/1.1\r\nHost: a\r\n\r\n"} 'GET /consents/',
        'GET /consents/9', 'DELETE /consents/9', 'GET /consents/9');
    is_deeply [
        map { $t->read_response($socket, $_)->status }
            qw(GET GET GET DELETE GET)
        ],
        [ 200, 200, 200, 204, 404 ], 'one after the other';
    return;
}


sub test_subrequests {
    my $all = $t->get('/consents/7')->body;
    is $t->get('/if/7')->body, $all, 'where there is a consent';
    is $t->get('/if-not/7')->status, 500, 'where there is none';
    is $t->get('/if-refused/7')->status, 500, 'where there is no state';
    return;
}


# What the provider is asked is held back while $leave is run.
sub held {
    my ($path, $ask, $leave) = @_;

    $sim->clear->misbehave(match => "^$path\$", hold => 1, acted => 1);
    my $socket = $ask->();
    wait_until(20, sub {
        grep { $_->{target} eq $path } @{ $sim->requests };
    });
    my @result = $leave->($socket);
    $sim->release->behave;
    return @result;
}


sub test_post_action {
    my $begun = begin($t);
    my $code  = code($sim, 11);
    my $leave = sub {
        $after->clear->misbehave(hold => 1);
        close $_[0];
        ok wait_until(20, sub { @{ $after->requests } }),
            'the post_action is run';
    };

    held('/v1/auth/token', sub {
        $t->get("/post/callback?code=$code&state=$begun->{state}",
            no_read => 1, headers => [ [ Cookie => $begun->{cookie} ] ]);
    }, $leave);
    ok wait_until(20, sub { profile($t, 11)->status == 200 }),
        'the consent is kept while it runs';
    is $after->open_connections, 1, 'and it is left alone';
    $after->release->behave;

    held('/v1/auth/revoke', sub {
        $t->http(DELETE => '/post/consents/11', no_read => 1);
    }, $leave);
    ok wait_until(20, sub { profile($t, 11)->status == 403 }),
        'and revoked';
    is $after->open_connections, 1, 'so here';
    $after->release->behave;

    my ($worker) = $t->worker_pids;
    is $t->get('/post/consents/7')->status, 200, 'a caller who stays';
    is_deeply [ $t->worker_pids ], [$worker], 'the worker lives';
    return;
}


# The worker is told to end while the provider is asked.
sub test_quit {
    my $begun = begin($t);
    my $code  = code($sim, 12);

    $sim->clear->misbehave(match => '^/v1/auth/token$', hold => 1, acted => 1);
    my $socket = $t->get("/callback?code=$code&state=$begun->{state}",
        no_read => 1, headers => [ [ Cookie => $begun->{cookie} ] ]);
    $sim->wait_requests(1);

    my $pid = fork // die "fork: $!";
    if (!$pid) {
        sleep 1;
        $sim->release;
        _exit(0);
    }
    ok $t->quit, 'it ends';
    waitpid $pid, 0;
    $sim->behave;

    is $t->read_response($socket, 'GET')->status, 200, 'after the answer';
    return;
}


my @tests = (
    [ 'bodies'         => \&test_bodies ],
    [ 'pipelining'     => \&test_pipeline ],
    [ 'subrequests'    => \&test_subrequests ],
    [ 'post_action'    => \&test_post_action ],
    [ 'a graceful end' => \&test_quit ],
);

for my $store ('',
    'idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store%%;')
{
    configure($store);
    $t->run;
    give($t, $sim, 7);

    for (@tests) {
        my ($name, $code) = @$_;
        subtest $name . ($store ? ', with a store' : ', without a store'),
            $code;
    }
    $t->quit;
}

done_testing;
