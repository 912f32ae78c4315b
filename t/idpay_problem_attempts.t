#!/usr/bin/env perl

# A problem tells how many calls were begun, also those that were made again,
# at first on a kept connection that the provider had closed.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plusid',
    limits => 'idpay_retry tries=2 base=10ms; idpay_breaker off;');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_plusid%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass plusid; }
    }
}
CONF
$t->run;

for ([ GET => 2 ], [ PUT => 2 ], [ DELETE => 2 ], [ POST => 1 ],
    [ PATCH => 1 ])
{
    my ($method, $calls) = @$_;

    $sim->behave;
    $t->get('/v1/requests/none');
    $sim->clear->misbehave(times => -1, close => 'no_answer');

    my $r = $t->http($method, '/v1/requests/1', body => '{}');
    is $r->status, 502, "$method: no answer";
    is scalar @{ $sim->requests }, $calls, "$method: calls made";
    is $r->json->{attempts}, $calls, "$method: calls told";
}

done_testing;
