#!/usr/bin/env perl

# Each provider gets its credential over TLS as its own document wants it:
# name, value and order, to the byte, once; and nothing else of the gateway's.

use strict;
use warnings;

use MIME::Base64 qw(encode_base64);
use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my %sim = map { $_ => $t->sim($_) } qw(plusid passportreader plasmapay plaid);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_plusid%%
    %%UPSTREAM_passportreader%%
    %%UPSTREAM_plasmapay%%
    %%UPSTREAM_plaid%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /plusid/         { idpay_pass plusid/; }
        location /passportreader/ { idpay_pass passportreader/; }
        location /plasmapay/      { idpay_pass plasmapay/; }
        location /plaid/          { idpay_pass plaid/; }
    }
}
CONF
$t->run;

my %s    = map { $_ => $t->secret_value($_) } qw(plusid_api_key
    passportreader_public_key passportreader_secret plasmapay_api_key
    plaid_client_id plaid_secret);
my $pair = encode_base64(
    "$s{passportreader_public_key}:$s{passportreader_secret}", '');

my @type  = ([ 'Content-Type', 'application/json' ]);
my @cases = (
    [   plusid => [ GET => '/v1/requests' ],
        "X-API-Key: $s{plusid_api_key}",
    ],
    [   passportreader => [ POST => '/api/v1/session.create', '{}' ],
        "Authorization: Basic $pair",
    ],
    [   plasmapay => [ GET => '/business/api/v1/public/ping' ],
        "Authorization: Bearer $s{plasmapay_api_key}",
    ],
    [   plaid => [
            POST => '/identity_verification/list',
            '{"template_id":"t","client_user_id":"u"}'
        ],
        "PLAID-CLIENT-ID: $s{plaid_client_id}",
        "PLAID-SECRET: $s{plaid_secret}",
        'Plaid-Version: 2020-09-14',
    ],
);

for (@cases) {
    my ($name, $call, @lines) = @$_;
    my ($method, $uri, $body) = @$call;

    my $r = $t->http($method, "/$name$uri", body => $body,
        headers => defined $body ? \@type : []);
    is $r->status, 200, "$name accepts it";

    my $requests = $sim{$name}->requests;
    is scalar @$requests, 1, "$name: one request";

    my ($first, @head) = split /\r\n/, $requests->[0]{raw} =~ s/\r\n\r\n.*//sr;
    is $first, "$method $uri HTTP/1.1", "$name: the request line";
    is $head[0], "Host: $name.test", "$name: Host is the first header";
    is_deeply [ sort @head ],
        [
        sort @lines, "Host: $name.test",
        defined $body
        ? ('Content-Length: ' . length $body, 'Content-Type: application/json')
        : ()
        ],
        "$name: the header, each line once";
    is $requests->[0]{body}, $body // '', "$name: the body";
}

done_testing;
