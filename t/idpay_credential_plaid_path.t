#!/usr/bin/env perl

# The key opens all of Plaid's products: only identity verification is called
# through the gateway, whatever a caller makes of the path.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plaid', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    %%UPSTREAM_plaid%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /     { idpay_pass plaid; }
        location /uri/ { idpay_pass plaid/; }
        location /in/  { idpay_pass plaid/identity_verification/; }
        location /loose { idpay_pass plaid/identity_verification; }
        location ~ ^/regex { idpay_pass plaid; }
    }
    server {
        listen 127.0.0.1:%%PORT_8081%%;
        merge_slashes off;
        location /     { idpay_pass plaid; }
        location /uri/ { idpay_pass plaid/; }
        location /in/  { idpay_pass plaid/identity_verification/; }
        location /rewritten/ {
            rewrite ^/rewritten/(.*)$ /$1 break;
            idpay_pass plaid;
        }
    }
}
CONF
$t->run;

my $ok   = 'identity_verification';
my $body = '{"template_id":"t","client_user_id":"u"}';


sub call {
    my ($port, $target) = @_;

    $sim->clear;
    return $t->http(POST => '', port => $port, raw => join "\r\n",
        "POST $target HTTP/1.1", 'Host: h', 'Content-Type: application/json',
        'Content-Length: ' . length $body, '', $body);
}


# 400: nginx's own, of a path that leaves the root or cannot be decoded.
sub refused {
    my ($target, @ports) = @_;

    for my $port (@ports ? @ports : (8080, 8081)) {
        my $r = call($port, $target);
        like $r->status, qr/^(?:400|403)$/, "$target is refused";
        is $r->json->{code}, 'request_rejected', 'as a problem'
            if $r->status == 403;
        is_deeply $sim->requests, [], 'the provider saw nothing';
    }
    return;
}


my @outside = ('item/get', 'item%2fget', 'transactions/sync', '', $ok,
    "${ok}x/list", "$ok;/list", "x/$ok/list", "\U$ok\E/list",
    "%69dentity_verification/../item/get");

my @inside = ('../item/get', '%2e%2e/item/get', '%2E%2E%2Fitem/get',
    '..%2fitem/get', '..%252fitem/get', '.%2e/item/get', '..;/item/get',
    'x/../../item/get', 'x/%2e%2e/%2e%2e/item/get', 'x/..%2f..%2fitem/get',
    '..\\item\\get', '..%5citem%5cget', '..%5Citem%5Cget', 'list%00',
    '/../../item/get', '%2f../../item/get',
    './../item/get', '.%2f../item/get', 'list%3f/../../../item/get',
    'list%23/../../../item/get', "list%0d%0aX:1", 'list%20HTTP/1.1');

for my $path (@outside, map {"$ok/$_"} @inside) {
    refused("/$path");
    refused("/uri/$path");
    refused("http://plaid.test/$path");
}
refused("/in/$_") for grep { !m{^/} } @inside;
refused("/rewritten/$_", 8081) for 'item/get', "$ok/..%2fitem/get",
    "$ok/%252e%252e/item/get";
refused($_, 8080) for '/loose', '/loosex/list', '/loose%2f..%2fitem/get',
    '/regex/item/get';
refused("/$ok%2flist");
refused("//$ok/list", 8081);
refused("/$ok//list", 8081);


for my $name (qw(list get create retry)) {
    for my $target ("/$ok/$name", "/uri/$ok/$name", "/in/$name") {
        for my $port (8080, 8081) {
            my $r = call($port, $target);
            isnt $r->status, 403, "$target passes";
            is $sim->requests->[0]{target}, "/$ok/$name", 'as it should';
        }
    }
}
# With a URI nginx sends what the path means, and that is what is judged.
for (
    [ 8080, "/uri/$ok%2flist",   "/$ok/list" ],
    [ 8080, "/uri//$ok///list",  "/$ok/list" ],
    [ 8080, "/uri/item/../$ok/./list", "/$ok/list" ],
    [ 8081, "/uri/$ok///../../list", "/$ok/list" ],
    )
{
    my ($port, $target, $meant) = @$_;
    call($port, $target);
    is $sim->requests->[0]{target}, $meant, "$target passes as $meant";
}

call(8080, "/$ok/list?a=../item/get&b=%2f");
is $sim->requests->[0]{target}, "/$ok/list?a=../item/get&b=%2f",
    'arguments are no path';
is call(8080, "http://plaid.test/$ok/list")->status, 200, 'the absolute form';
is call(8080, '/loose/list')->status, 200, 'a name without its slash';
is call(8081, "/rewritten/$ok/list")->status, 200, 'after a rewrite';

done_testing;
