#!/usr/bin/env perl

# "idpay_pass" in the places that a configuration gives it: "if" and
# "limit_except" inside of it, locations inside of others, before its upstream,
# with a URI. Each call has the provider's credential and not the caller's.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plusid');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location / {
            idpay_pass plusid;
        }
        location /if/ {
            idpay_pass plusid/v1/;
            if ($arg_set) {
                set $unused 1;
            }
            if ($arg_header) {
                add_header X-Branch taken always;
            }
            if ($arg_limit) {
                limit_rate 100k;
            }
            if ($arg_return) {
                return 204;
            }
        }
        location /ifs/ {
            if ($arg_first) {
                add_header X-Branch first always;
            }
            if ($arg_second) {
                add_header X-Branch second always;
            }
            idpay_pass PlusID/v1/;
        }
        location /except/ {
            limit_except POST {
                allow 127.0.0.1;
                deny all;
            }
            idpay_pass plusid/v1/;
        }
        location /denied/ {
            idpay_pass plusid/v1/;
            limit_except POST {
                deny all;
            }
        }
        location /outer/ {
            idpay_pass plusid/outer/;

            location /outer/inner/ {
                idpay_pass plusid/inner/;
            }
            location /outer/empty/ {
            }
        }
        location /rewrite/ {
            rewrite ^/rewrite/(.*) /rewritten/$1 break;
            idpay_pass plusid;
        }
        location ~ ^/regex/(.*)$ {
            idpay_pass plusid;
        }
        location /try/ {
            try_files /nothing @named;
        }
        location @named {
            if ($arg_header) {
                add_header X-Branch named always;
            }
            idpay_pass plusid;
        }
        location = /exact {
            idpay_pass plusid/v2/exact?a=1;
        }
    }

    upstream plusid {
        server %%SIM_plusid%%;
        keepalive 4;
        idpay_provider plusid;
        idpay_secret api_key file:%%SECRET_plusid_api_key%%;
        idpay_host plusid.test;
    }

    idpay_trusted_certificate %%CA%%;
}
CONF
$t->run;

my @own = (
    [ 'X-API-Key',     'callers-own-key' ],
    [ 'x_api_key',     'callers-own-key' ],
    [ 'Authorization', 'Bearer callers-own-key' ],
    [ 'Cookie',        'key=callers-own-key' ],
);

for (
    [ '/a',              '/a' ],
    [ '/if/a',           '/v1/a' ],
    [ '/if/a?set=1',     '/v1/a?set=1' ],
    [ '/if/a?header=1',  '/v1/a?header=1', 'taken' ],
    [ '/if/a?limit=1',   '/v1/a?limit=1' ],
    [ '/if/a?set=1&header=1&limit=1', '/v1/a?set=1&header=1&limit=1' ],
    [ '/ifs/a',          '/v1/a' ],
    [ '/ifs/a?first=1',  '/v1/a?first=1', 'first' ],
    [ '/ifs/a?second=1', '/v1/a?second=1', 'second' ],
    [ '/except/a',       '/v1/a' ],
    [ '/outer/a',        '/outer/a' ],
    [ '/outer/inner/a',  '/inner/a' ],
    [ '/rewrite/a?b=c',  '/rewritten/a?b=c' ],
    [ '/regex/a%20b',    '/regex/a%20b' ],
    [ '/try/a',          '/try/a' ],
    [ '/try/a?header=1', '/try/a?header=1', 'named' ],
    )
{
    my ($uri, $target, $branch) = @$_;

    for my $method (qw(GET POST)) {
        my $name = "$method $uri";

        $sim->clear;
        my $r = $t->http($method, $uri, headers => \@own,
            $method eq 'POST' ? (body => '{"a":1}') : ());

        # what the provider answers is its own affair, 401 is not
        isnt $r->status, 401, "$name: the credential is taken";
        is $r->header('X-Branch'), $branch, "$name: the branch";

        my $requests = $sim->requests;
        is scalar @$requests, 1, "$name: one request" or next;

        my $seen = $requests->[0];
        is $seen->{target}, $target, "$name: the target";
        is $seen->{method}, $method, "$name: the method";
        is_deeply [ $sim->header($seen, 'X-API-Key') ],
            [ $t->secret_value('plusid_api_key') ], "$name: the credential";
        is_deeply [ $sim->header($seen, 'Host') ], ['plusid.test'],
            "$name: the host";
        unlike $seen->{raw}, qr/callers-own-key/, "$name: not the caller's";
    }
}


# What never reaches the provider.

$sim->clear;
is $t->get('/if/a?return=1')->status,     204, '"return" in "if"';
is $t->get('/denied/a')->status,          403, '"limit_except" denies';
is $t->get('/outer/empty/a')->status,     404, 'no provider is inherited';
is scalar @{ $sim->requests }, 0, 'nothing was sent';

isnt $t->post('/denied/a', '{}')->status, 403, 'and lets the method through';
is scalar @{ $sim->requests }, 1, 'that was sent';

done_testing;
