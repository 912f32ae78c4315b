#!/usr/bin/env perl

# Variables of nginx show the headers of the provider's last answer, also of one
# that did not go on: a secret in there is overwritten all the same.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', limits => 'idpay_retry base=2s jitter=none;');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format echo '$request_uri $status $idpay_outcome '
                    '$upstream_status echo=$upstream_http_x_echo';
    access_log %%TESTDIR%%/echo.log echo;
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_generic%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass generic; }
    }
}
CONF
$t->run;

my $secret = $t->secret_value('key');
my $stars  = '*' x length $secret;
my $echo   = "X-Echo: $secret\r\n";


# the answer passes, or is none
for (
    [ '/error', 400, "HTTP/1.1 400 No\r\n${echo}Content-Length: 0\r\n\r\n" ],
    [ '/switch', 502, "HTTP/1.1 101 Switching\r\n$echo\r\n" ],
    [ '/half',   502, "HTTP/1.1 400 No\r\n${echo}X-Half: " ],
    )
{
    my ($uri, $status, $raw) = @$_;

    $sim->behave->misbehave(raw => $raw);
    is $t->post($uri, 'x')->status, $status, "$uri: $status";
    logged($uri, qr/ \Q$uri\E/);
}

# the answer is dropped, and the caller leaves before the next one
$sim->behave->clear->misbehave(status => 429,
    headers => [ [ 'X-Echo', $secret ] ]);
my ($caller) = park($t, 1, method => 'POST', uri => '/left', body => 'x');
$sim->wait_requests(1);
ok wait_until(20, sub { $sim->open_connections }), 'answered';
close $caller;
logged('/left 499 not_applied 429', qr/left/);

sub logged {
    my $what = shift;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok wait_until(20, sub { $t->read('echo.log') =~ /^\Q$what\E/m }),
        "$what: logged";
    my ($line) = $t->read('echo.log') =~ /^(\Q$what\E.*)$/m;
    ok $line =~ /echo=\Q$stars\E$/, "$what: without the secret";
    return;
}

done_testing;
