#!/usr/bin/env perl

# The overlapping credential of a rotation is read and checked beside the
# first, and the first is the one that is sent.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('passportreader', tls => 0);

$t->secret('passportreader_secret_next', 'secret-');
$t->secret('swapped',                    'public-key-');


sub config {
    my $next = shift;

    return $t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    upstream passportreader {
        server          %%SIM_passportreader%%;
        idpay_provider  passportreader;
        idpay_tls       off;
        idpay_host      passportreader.test;
        idpay_secret    public_key file:%%SECRET_passportreader_public_key%%;
        idpay_secret    secret     file:%%SECRET_passportreader_secret%%
                                   $next;
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass passportreader; }
        location /passed/ { idpay_errors off; idpay_pass passportreader/; }
    }
}
CONF
}


config('file:%%SECRET_swapped%%');
my ($code, $output) = $t->nginx_t;
is $code, 1, 'the next one is checked as the first is';
like $output, qr/the next secret "secret" in upstream "passportreader"/,
    'and named';

config('file:%%TESTDIR%%/none');
($code, $output) = $t->nginx_t;
is $code, 1, 'its file must be there';

config('file:%%SECRET_passportreader_secret_next%%');
$t->run;
is $t->post('/api/v1/session.create', '{}')->status, 200, 'the first is sent';

my $next = $t->secret_value('passportreader_secret_next');
$sim->misbehave(status => 400, body => "no $next");
is $t->post('/passed/api/v1/session.create', '{}')->body,
    'no ' . '*' x length $next, 'neither is told to a caller';

$sim->misbehave(status => 400,
    json => { error_name => 'KEY', error_message => "no $next" });
my $problem = $t->post('/api/v1/session.create', '{}')->json;
like $problem->{detail}, qr/^no \*+$/, 'nor in a problem';
is $problem->{provider_code}, 'KEY', 'which is of that answer';

done_testing;
