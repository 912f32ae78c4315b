#!/usr/bin/env perl

# A header that may make another call of it, of another method or path, makes a
# call one that is not repeated once bytes of it were sent.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic',
    limits => 'idpay_retry base=1ms budget=100%; idpay_breaker off; '
        . 'idpay_adaptive off; idpay_replay_safe POST /search;');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_generic%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass generic; }
    }
}
CONF
$t->run;

for my $header ('X-HTTP-Method-Override', 'x-http-method',
    'X-Method-Override', 'X-Original-URL', 'X-Rewrite-URL', undef)
{
    for my $call ([ PUT => '/pay' ], [ POST => '/search' ]) {
        my ($method, $uri) = @$call;
        my $name = "$method $uri, " . ($header // 'no header');

        # of a 5xx only what is replay-safe is repeated, of a 429 anything
        for my $status (503, 429) {
            $sim->behave->clear->misbehave(status => $status);
            my $r = $t->http($method, $uri, body => 'x',
                headers => [ $header ? [ $header, 'POST' ] : () ]);
            my $again = !$header || $status == 429;

            is scalar @{ $sim->requests }, $again ? 2 : 1,
                "$name: attempts after $status";
            is $r->status, $again ? 200 : 503, "$name: status after $status";
        }
    }
}

done_testing;
