#!/usr/bin/env perl

# A reload with a configuration or a secret that is wrong changes nothing; one
# that is right takes all of it up.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', tls => 0);


sub config {
    my (@secrets) = @_;

    my $secrets = join "\n        ", @secrets;
    return $t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    upstream p {
        server %%SIM_generic%%;
        idpay_provider generic;
        idpay_tls off;
        idpay_auth bearer;
        $secrets
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass p; }
    }
}
CONF
}


sub token_is {
    my ($token, $name) = @_;

    $sim->clear;
    is $t->get('/')->status, 200, "$name: served";
    is_deeply [ map { $sim->header($_, 'Authorization') }
            @{ $sim->requests } ], ["Bearer $token"], "$name: the credential";
    return;
}


my $file  = 'idpay_secret token file:%%SECRET_token%%;';
my $first = $t->secret_value('token');

config($file);
$t->run;
token_is($first, 'at the start');


# Each of these is refused, and each by the reload that it is for.

my $refused = sub {
    my ($name, $re) = @_;

    my $before = length $t->error_log;
    ok !$t->try_reload, "$name: not taken";
    like substr($t->error_log, $before), $re, "$name: the log says why";
    token_is($first, $name);
};
my $path = $t->secret('token');

$t->write('secret_token', '');
$refused->('an empty secret',
    qr/\[emerg\] .*"token": file "\Q$path\E" is empty in .*nginx\.conf:\d+/);

my $broken = $t->canary('broken-line-1');
$t->write('secret_token', "$broken\n$broken\n");
$refused->('a secret of two lines', qr/\[emerg\] .*has more than one line/);

unlink $path or die "$path: $!";
$refused->('no secret', qr/\[emerg\] .*"\Q$path\E" cannot be opened \(2: /);

my $second = $t->secret('token', '') && $t->secret_value('token');
isnt $second, $first, 'another secret';

config($file, $file);
$refused->('a duplicate', qr/\[emerg\] .*duplicate secret "token"/);

config('idpay_secret token env:IDPAY_TEST_NOT_THERE;');
$refused->('a variable that is not set',
    qr/\[emerg\] .*"IDPAY_TEST_NOT_THERE" is not set/);

config('idpay_secret token secret-in-the-open;');
$t->canary('secret-in-the-open');
$refused->('a secret in the configuration',
    qr/\[emerg\] .*must not stand in the configuration/);


# And these are taken up, again and again.

config($file);
$t->reload;
token_is($second, 'the new secret');

for my $n (1 .. 3) {
    $t->secret('token', '');
    $t->reload;
    token_is($t->secret_value('token'), "reload $n");
}


# The master keeps the environment that it was started with.

ok $t->quit, 'it quits';
local $ENV{IDPAY_TEST_TOKEN} = $t->canary('token-of-the-environment');

config('idpay_secret token env:IDPAY_TEST_TOKEN;');
$t->run;
token_is($ENV{IDPAY_TEST_TOKEN}, 'from the environment');
$t->reload;
token_is($ENV{IDPAY_TEST_TOKEN}, 'from the environment after a reload');

done_testing;
