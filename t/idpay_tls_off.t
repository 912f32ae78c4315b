#!/usr/bin/env perl

# Without TLS over the loopback and a unix socket. A provider's upstream is
# for idpay_pass alone: whatever else leads there sends nothing.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t     = Test::Idpay->new;
my $sim   = $t->sim('plusid');
my $plain = $t->sim('plusid', name => 'plain', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_plusid%%
    upstream plain {
        server          %%SIM_plain%%;
        idpay_provider  plusid;
        idpay_tls       off;
        idpay_host      plusid.test;
        idpay_secret    api_key  file:%%SECRET_plusid_api_key%%;
    }
    upstream socket {
        server          unix:%%TESTDIR%%/provider.socket;
        idpay_provider  plusid;
        idpay_tls       off;
        idpay_host      plusid.test;
        idpay_secret    api_key  file:%%SECRET_plusid_api_key%%;
    }
    server {
        listen unix:%%TESTDIR%%/provider.socket;
        location / {
            proxy_set_header Host $host;
            proxy_pass http://%%SIM_plain%%;
        }
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /plain/     { idpay_pass plain/; }
        location /socket/    { idpay_pass socket/; }

        location /http/      { proxy_pass http://plusid/; }
        location /https/     { proxy_pass https://plusid/; }
        location /off/       { proxy_pass http://plain/; }
        location /variable/  { set $to plusid; proxy_pass https://$to; }
        location /grpc/      { grpc_pass grpcs://plusid; }
        location /grpc-off/  { grpc_pass grpc://plain; }
        location /fastcgi/   { fastcgi_pass plain; }
        location /mirror/    { mirror /https/x; return 204; }
    }
}
CONF
$t->run;

for my $name (qw(plain socket)) {
    is $t->get("/$name/v1/requests")->status, 200, $name;
    my $seen = $plain->last_request;
    is_deeply [ $plain->header($seen, 'Host') ], ['plusid.test'], 'its Host';
    is_deeply [ $plain->header($seen, 'X-API-Key') ],
        [ $t->secret_value('plusid_api_key') ], 'its credential';
}
is $sim->connections, 0, 'and nothing else is called';
my $before = $plain->connections;

for (qw(http https off variable grpc grpc-off fastcgi)) {
    is $t->get("/$_/v1/requests")->status, 500, "$_ is refused";
    is $t->post("/$_/v1/requests", 'x' x 100_000)->status, 500, 'with a body';
}
$t->get('/mirror/x');
$t->expect_log(qr/idpay: upstream "plusid" is a provider, "idpay_pass" alone/);
$t->expect_log(qr/idpay: upstream "plain" is a provider, "idpay_pass" alone/);

is $sim->connections, 0, 'no connection was made';
is $plain->connections, $before, 'to neither';

done_testing;
