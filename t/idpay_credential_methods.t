#!/usr/bin/env perl

# Every call of PassportReader is a POST; the gateway answers the others.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('passportreader', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    %%UPSTREAM_passportreader%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass passportreader; }
    }
}
CONF
$t->run;

for my $method (qw(GET HEAD PUT DELETE PATCH OPTIONS PROPFIND LOCK ANY)) {
    my $r = $t->http($method, '/api/v1/session.create');

    is $r->status, 405, "$method is refused";
    is $r->header('Allow'), 'POST', 'and told what is right';
    next if $method eq 'HEAD';

    my $problem = $r->json;
    is $problem->{code},   'request_rejected', 'its code';
    is $problem->{status}, 405,                'its status';
}
is_deeply $sim->requests, [], 'the provider saw nothing';

is $t->post('/api/v1/session.create', '{}')->status, 200, 'POST passes';
is scalar @{ $sim->requests }, 1, 'once';

done_testing;
