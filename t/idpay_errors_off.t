#!/usr/bin/env perl

# "idpay_errors off": the provider's last answer passes as it came, at every
# level that it can be said at. A call without an answer is a problem even so.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Translation qw(is_problem);
use Test::More;

my $t     = Test::Idpay->new;
my $sim   = $t->sim('plaid', tls => 0);
my $again = $t->sim('generic', tls => 0, name => 'again',
    limits => "idpay_retry tries=3 base=10ms jitter=none budget=100%;\n"
        . '        idpay_rate off; idpay_adaptive off; idpay_breaker off;');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_plaid%%
    %%UPSTREAM_again%%

    upstream dead {
        server          127.0.0.1:%%PORT_1%%;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      bearer;
        idpay_secret    token file:%%SECRET_token%%;
        %%UNLIMITED%%
    }

    # nothing is said
    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /on/ { idpay_pass plaid/identity_verification/; }

        location /off/ {
            idpay_errors off;
            idpay_pass plaid/identity_verification/;

            location /off/inherited/ {
                idpay_pass plaid/identity_verification/;

                location /off/inherited/on/ {
                    idpay_errors on;
                    idpay_pass plaid/identity_verification/;
                }
            }
        }
        location /unbuffered/ {
            idpay_errors off;
            proxy_buffering off;
            idpay_pass plaid/identity_verification/;
        }
        location /again/ {
            idpay_errors off;
            idpay_pass again/;
        }
        location /dead/ {
            idpay_errors off;
            idpay_pass dead/;
        }
        location /short/ {
            idpay_errors off;
            idpay_timeout 200ms;
            idpay_pass plaid/identity_verification/;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        idpay_errors off;

        location /off/ { idpay_pass plaid/identity_verification/; }
        location /on/ {
            idpay_errors on;
            idpay_pass plaid/identity_verification/;

            location /on/inherited/ {
                idpay_pass plaid/identity_verification/;
            }
        }
    }
    include off.conf;
}
CONF

# In a file of its own, as of another http{}: see below.
$t->write('off.conf', '');
$t->run;

my @type  = ([ 'Content-Type', 'application/json' ]);
my @quota = ([ 'X-Theirs', 'y' ], [ 'ETag', '"e"' ]);
my $error = '{"error_type":"INVALID_REQUEST","error_code":"MISSING_FIELDS",'
    . '"error_message":"m","display_message":null,"request_id":"r"}';


sub off {
    my ($port, $uri, $status, %rule) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    %rule = (body => $error) if !%rule;
    $sim->behave->misbehave(status => $status, %rule,
        headers => [ @type, @quota ]);
    my $r = $t->post($uri, '{}', port => $port, headers => \@type);

    is $r->status, $status, "$port $uri $status: the status";
    is $r->body, $rule{body}, 'the body' if defined $rule{body};
    is $r->header('Content-Type'), 'application/json', 'its type';
    is $r->header('X-Theirs'), 'y', 'their header';
    is $r->header('ETag'), '"e"', 'and another one';
    return $r;
}


sub on {
    my ($port, $uri, $status, $code) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $sim->behave->misbehave(status => $status, body => $error,
        headers => [ @type, @quota ]);
    my $r = $t->post($uri, '{}', port => $port, headers => \@type);

    is_deeply [ $r->status, $r->header('Content-Type'),
        @{ $r->json }{qw(code provider_code detail)} ],
        [ $status, 'application/problem+json', $code, 'MISSING_FIELDS', 'm' ],
        "$port $uri: a problem";
    is $r->header('X-Theirs'), undef, 'without their header';
    return;
}


subtest 'the levels' => sub {
    for my $status (400, 401, 404, 429, 500, 503, 599, 799) {
        off(8080, '/off/list',           $status);
        off(8080, '/off/inherited/list', $status);
        off(8080, '/unbuffered/list',    $status);
        off(8081, '/off/list',           $status);
    }
    on(8080, $_, 400, 'invalid_request')
        for '/on/list', '/off/inherited/on/list';
    on(8081, $_, 400, 'invalid_request') for '/on/list', '/on/inherited/list';
};

subtest 'the levels, off in http' => sub {
    $t->write('off.conf', 'idpay_errors off;');
    $t->reload;

    off(8080, '/on/list',  400);
    off(8081, '/off/list', 500);
    on(8080, '/off/inherited/on/list', 400, 'invalid_request');
    on(8081, $_, 400, 'invalid_request') for '/on/list', '/on/inherited/list';

    $t->write('off.conf', 'idpay_errors on;');
    $t->reload;

    off(8080, '/off/list', 400);
    off(8081, '/off/list', 400);
    on(8080, '/on/list', 400, 'invalid_request');
};


# Bodies of all kinds pass.
for my $place ('/off/list', '/unbuffered/list') {
    for my $rule (
        [ body => '' ],
        [ body => "no JSON \xff\0" ],
        [ body => '{"a":' x 1000 ],
        [ body => 'x' x 65_537 ],
        [ body => 'x' x 500_000, chunked => 1 ],
        [ body => '{"b":1}', chunked => 1 ],
        )
    {
        is off(8080, $place, 500, @$rule)->complete, 1, 'whole';
    }
    my $r = off(8080, $place, 500, body_size => 10_000_000);
    is $r->length, 10_000_000, '10 MB';

    $r = off(8080, $place, 500, body_size => 10_000, truncate => 'mid_body');
    is $r->complete, 0, 'half a body is none';
    is $r->error, 'closed', 'which the caller sees';
}
$sim->behave->misbehave(status => 404, body => $error);
my $r = $t->http(HEAD => '/off/list');
is $r->header('Content-Length'), length $error, 'HEAD';


# It says nothing about what the gateway itself does.

$again->behave;
$t->get('/again/') for 1 .. 3;
$again->clear->misbehave(status => 503, times => 2, body => 'not this');
$again->misbehave(status => 500, body => 'the last one');
$r = $t->get('/again/');
is $r->status, 500, 'the last status';
is $r->body, 'the last one', 'the last body';
is scalar @{ $again->requests }, 3, 'after three attempts';

$t->get('/again/') for 1 .. 3;
$again->misbehave(status => 503, body => 'not this');
$again->misbehave(close => 'no_answer', times => 2);
is_problem($t->get('/again/'), 'the last attempt has no answer', 502,
    'provider_error', attempts => 3);

is_problem($t->get('/dead/'), 'no connection', 503, 'provider_unavailable');

$sim->behave->misbehave(raw => "no HTTP\r\n\r\n");
is_problem($t->post('/off/retry', '{}', headers => \@type), 'no HTTP', 502,
    'provider_error', outcome => 'unknown');

$sim->behave->misbehave(delay_ms => 60_000);
is_problem($t->post('/short/retry', '{}', headers => \@type), 'no time', 504,
    'provider_timeout', outcome => 'unknown');

is_problem($t->post('/off/list', '{"secret":1}', headers => \@type),
    'the gateway refuses', 400, 'request_rejected', attempts => 0);

$sim->behave;
is $t->post('/off/list', '{"template_id":"t","client_user_id":"u"}',
    headers => \@type)->status, 200, 'and all goes on';

done_testing;
