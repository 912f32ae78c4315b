#!/usr/bin/env perl

# What a provider echoes of a secret in the header of an error or a redirect
# reaches neither the caller nor a variable, also in headers that do not pass.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format echo '$status <$upstream_http_www_authenticate> '
                    '<$upstream_http_set_cookie> <$upstream_http_refresh> '
                    '<$upstream_http_location> <$sent_http_location> '
                    '<$upstream_http_x_echo> <$upstream_cookie_a>';

    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_gate%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        access_log %%TESTDIR%%/echo.log echo;
        location /gate/ { idpay_pass gate/; }
        location /passed/ { idpay_errors off; idpay_pass gate/; }
    }
}
CONF
$t->run;

my $secret = $t->secret_value('key');
my $stars  = '*' x length $secret;

my @echoes = (
    [ 'WWW-Authenticate' => "Bearer error=\"$secret\"" ],
    [ 'Set-Cookie'       => "a=$secret" ],
    [ Location           => "https://gate.test/?key=$secret&a=1" ],
    [ 'X-Echo'           => $secret ],
);

my %told = (401 => 502, 500 => 502);

for my $status (301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 503) {
    $sim->misbehave(status => $status, body => "no $secret", times => 2,
        headers => [ @echoes, [ Refresh => "0;url=/$secret" ] ]);

    my $r = $t->get('/passed/x');
    is $r->status, $status, "$status: the answer";
    unlike $r->raw, qr/\Q$secret\E/, "$status: the caller does not get it";
    is $r->header('X-Echo'), $stars, "$status: but asterisks";

    $r = $t->get('/gate/x');
    is $r->status, $told{$status} // $status, "$status: told";
    is $r->json->{provider_status}, $status, "$status: in a problem"
        if $status >= 400;
    unlike $r->raw, qr/\Q$secret\E/, "$status: the caller does not get it";
    is $r->header('X-Echo'), $status < 400 ? $stars : undef,
        "$status: and no header of an error";
}

for my $uri ('/gate/refresh', '/passed/refresh') {
    $sim->misbehave(status => 401,
        headers => [ [ Refresh => "0;url=https://gate/$secret" ] ]);
    $t->get($uri);
}

ok wait_until(20, sub { 24 == (() = $t->read('echo.log') =~ /\n/g) }),
    'all calls are in the log';
unlike $t->read('echo.log'), qr/\Q@{[ substr $secret, -8 ]}\E/,
    'no variable has it, or its end';
is scalar(() = $t->read('echo.log') =~ /<Bearer error=\\x22\*+\\x22>/g), 22,
    'variables of headers that do not pass';

done_testing;
