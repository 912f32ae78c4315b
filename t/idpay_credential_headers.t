#!/usr/bin/env perl

# What a caller sends in a place that is for credentials never gets through,
# however it is spelled; what only looks like it does.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t = Test::Idpay->new;
my @names = qw(plusid passportreader plasmapay plaid);
my %sim = map { $_ => $t->sim($_, tls => 0) } @names, 'generic';

my $locations = join '',
    map {"location /$_/ { idpay_pass $_/; }\n"} @names, 'generic';

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    underscores_in_headers on;
    ignore_invalid_headers off;

    %%UPSTREAM_plusid%%
    %%UPSTREAM_passportreader%%
    %%UPSTREAM_plasmapay%%
    %%UPSTREAM_plaid%%
    upstream generic {
        server          %%SIM_generic%%;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      header X-My-Key;
        idpay_secret    key file:%%SECRET_generic_key%%;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        $locations

        location /set/ {
            proxy_set_header Authorization "callers \$http_authorization";
            proxy_set_header x-api-key     "callers \$http_x_api_key";
            proxy_set_header Cookie        \$http_cookie;
            proxy_set_header X-Other       other;
            idpay_pass plusid/;
        }
    }
}
CONF
$t->run;

my %call = (
    plusid         => [ GET  => '/v1/requests' ],
    passportreader => [ POST => '/api/v1/session.create', '{}' ],
    plasmapay      => [ GET  => '/business/api/v1/public/ping' ],
    plaid          => [
        POST => '/identity_verification/list',
        '{"template_id":"t","client_user_id":"u"}'
    ],
    generic => [ GET => '/' ],
);

my @always = qw(Authorization Proxy-Authorization Cookie);
my %own    = (
    plusid  => [qw(X-API-Key)],
    plaid   => [qw(PLAID-SECRET PLAID-CLIENT-ID Plaid-Version
        Plaid-New-User-API-Enabled Plaid-Anything)],
    generic => [qw(X-My-Key)],
);


# Every spelling that somebody may read as the name.
sub spellings {
    my $name = shift;
    return ($name, lc $name, uc $name, lcfirst $name, $name =~ tr/-/_/r,
        lc $name =~ tr/-/_/r, $name =~ tr/-/./r, $name);
}


# Makes the call with these headers more; the request that the provider saw.
sub call {
    my ($name, $prefix, @headers) = @_;
    my ($method, $uri, $body) = @{ $call{$name} };

    $sim{$name}->clear;
    my $r = $t->http(
        $method, "/$prefix$uri",
        body    => $body,
        headers => [
            [ 'X-First', 1 ], @headers, [ 'X-Last', 1 ],
            defined $body ? [ 'Content-Type', 'application/json' ] : (),
        ]
    );
    is $r->status, 200, "$name accepts ours";

    my $requests = $sim{$name}->requests;
    is scalar @$requests, 1, 'one request';
    return $requests->[0];
}


for my $name (sort keys %call) {
    my $alone = call($name, $name);

    for my $header (@always, @{ $own{$name} // [] }) {

        # nginx itself refuses to have Authorization twice
        my @together = [ spellings($header) ];
        @together = map { [$_] } @{ $together[0] }
            if $header eq 'Authorization';

        for my $group (@together) {
            my $seen = call($name, $name, map { [ $_, "callers $_" ] } @$group);

            unlike $seen->{raw}, qr/callers/, "$name: @$group";
            is_deeply $seen->{headers}, $alone->{headers},
                'nothing else changed';
        }

        # A header must not go by being called a matter of the connection.
        my $seen = call($name, $name, [ Connection => "$header, keep-alive" ],
            [ $header => 'callers' ]);
        is_deeply $seen->{headers}, $alone->{headers}, 'nor with Connection';
    }
}


my @others = map { [ $_, 'kept' ] } qw(X-API-Keys X-API XAPIKey Authorization2
    X-Authorization Cookie2 Set-Cookie Plaid PlaidSecret X-Plaid-Secret);
for my $name (sort keys %call) {
    my $seen = call($name, $name, @others);
    my @kept = grep { $_->[1] eq 'kept' } @{ $seen->{headers} };
    is_deeply \@kept, \@others, "$name: other names pass";
}

my $seen = call('plasmapay', 'plasmapay', [ 'X-API-Key', 'kept' ]);
is_deeply [ $sim{plasmapay}->header($seen, 'X-API-Key') ], ['kept'],
    'the credential of another preset is a header like any';


$seen = call('plusid', 'set', [ 'X-API-Key', 'callers' ],
    [ Authorization => 'callers' ], [ Cookie => 'callers' ]);
unlike $seen->{raw}, qr/callers|Authorization|Cookie/i,
    'proxy_set_header does not bring them back';
is_deeply [ $sim{plusid}->header($seen, 'X-API-Key') ],
    [ $t->secret_value('plusid_api_key') ], 'nor hides ours';
is_deeply [ $sim{plusid}->header($seen, 'X-Other') ], ['other'],
    'and sets what is no credential';

done_testing;
