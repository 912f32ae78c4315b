#!/usr/bin/env perl

# A provider that cannot prove its name gets no byte of the request, whatever
# else the configuration says.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my @bad = qw(expired self_signed other_name unknown_ca);
my %sim = map { $_ => $t->sim('plusid', name => $_, cert => $_) } @bad, 'good';

my $upstreams = join '', map { <<"UPSTREAM" } sort keys %sim;
    upstream $_ {
        server          %%SIM_$_%%;
        keepalive       4;
        idpay_provider  plusid;
        idpay_host      plusid.test;
        idpay_secret    api_key  file:%%SECRET_plusid_api_key%%;
        %%UNLIMITED%%
    }
UPSTREAM

# What weakens a plain proxy_pass: in the location, around it, or both.
my $locations = join '', map { <<"LOCATIONS" } sort keys %sim;
        location /strong/$_ { idpay_pass $_/v1/requests; }
        location /weak/$_ {
            proxy_ssl_verify off;
            proxy_ssl_server_name off;
            proxy_ssl_name elsewhere.test;
            proxy_ssl_trusted_certificate %%TESTDIR%%/certs/$_.crt;
            idpay_pass $_/v1/requests;
        }
LOCATIONS

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;
$upstreams
    server {
        listen 127.0.0.1:%%PORT_8080%%;
$locations
    }
    server {
        listen 127.0.0.1:%%PORT_8081%%;
        proxy_ssl_verify off;
        proxy_ssl_server_name off;
        proxy_ssl_name elsewhere.test;
        proxy_ssl_trusted_certificate %%TESTDIR%%/certs/self_signed.crt;
$locations
    }
}
CONF
$t->run;

for my $name (@bad) {
    for my $port (8080, 8081) {
        for my $uri ("/strong/$name", "/weak/$name") {
            for my $method (qw(GET POST)) {
                my $body = $method eq 'POST' ? 'x' x 100_000 : undef;
                my $r = $t->http($method, $uri, port => $port, body => $body);

                my $problem = $r->json;
                is $r->status, 502, "$name, $method $uri";
                is $problem->{code},    'provider_error', 'its code';
                is $problem->{outcome}, 'not_applied',    'nothing was done';
                is $problem->{fault},   'provider',       'whose fault it is';
            }
        }
    }
    my $sim = $sim{$name};
    ok $sim->connections >= 8, "$name: it was called";
    is $sim->bytes, 0, 'and got no byte of a request';
    is_deeply $sim->requests, [], 'nor the head of one';
}

for my $port (8080, 8081) {
    for my $uri ('/strong/good', '/weak/good') {
        is $t->get($uri, port => $port)->status, 200, "good, $uri";
    }
}
$t->expect_log(qr/\[error\].*certificate.*self-signed/i);

done_testing;
