#!/usr/bin/env perl

# No secret in a log, at level debug and with each variable that might hold
# one, nor in a copy that the configuration makes of what the caller sent.
# That logs hold none is a check that every file ends with.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

local $ENV{TEST_NGINX_LOGLEVEL} = 'debug';

my $t = Test::Idpay->new;

my %value = (
    generic_query  => 'q/uery+secret one',
    generic_header => 'header-secret-two',
);
$t->secret($_, value => $value{$_}) for sort keys %value;

my %sim = map { $_ => $t->sim($_) }
    qw(plusid passportreader plasmapay plaid generic);

my $copy = 'proxy_set_header X-Copy "$http_authorization $http_x_api_key '
    . '$request_uri $args $query_string $arg_key $http_cookie $uri";';

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format everything '\$http_authorization \$http_x_api_key \$args '
        '\$request_uri \$query_string \$arg_key \$http_x_my_key \$request '
        '\$http_plaid_secret \$http_plaid_client_id \$remote_user \$uri '
        '\$upstream_http_authorization \$upstream_http_x_api_key '
        '\$upstream_http_set_cookie \$upstream_http_www_authenticate '
        '\$upstream_addr \$proxy_host \$request_body \$upstream_status';
    access_log %%TESTDIR%%/everything.log everything;
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_plusid%%
    %%UPSTREAM_passportreader%%
    %%UPSTREAM_plasmapay%%
    %%UPSTREAM_plaid%%
    upstream query {
        server          %%SIM_generic%%;
        idpay_provider  generic;
        idpay_auth      query key;
        idpay_host      generic.test;
        idpay_secret    key file:%%SECRET_generic_query%%;
        %%UNLIMITED%%
    }
    upstream header {
        server          %%SIM_generic%%;
        idpay_provider  generic;
        idpay_auth      header X-My-Key;
        idpay_host      generic.test;
        idpay_secret    key file:%%SECRET_generic_header%%;
        %%UNLIMITED%%
    }
    upstream dead {
        server          127.0.0.1:%%PORT_1%%;
        idpay_provider  generic;
        idpay_auth      query key;
        idpay_host      generic.test;
        idpay_secret    key file:%%SECRET_generic_query%%;
        %%UNLIMITED%%
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        $copy

        location /plusid/         { idpay_pass plusid/; }
        location /passportreader/ { idpay_pass passportreader/; }
        location /plasmapay/      { idpay_pass plasmapay/; }
        location /plaid/          { idpay_pass plaid/; }
        location /query/          { idpay_pass query/; }
        location /raw             { idpay_pass query; }
        location /header/         { idpay_pass header/; }
        location /dead/           { idpay_pass dead/; }
    }
}
CONF
$t->run;

my @mine = ([ Authorization => 'Basic Y2FsbGVyOnBhc3M=' ],
    [ 'X-API-Key', 'callers' ], [ 'Content-Type', 'application/json' ]);
my @calls = (
    [ GET  => '/plusid/v1/requests?key=mine' ],
    [ POST => '/passportreader/api/v1/session.create', '{}' ],
    [ GET  => '/plasmapay/business/api/v1/public/ping?apiKey=mine' ],
    [   POST => '/plaid/identity_verification/list',
        '{"template_id":"t","client_user_id":"u"}'
    ],
    [ GET  => '/query/a?a=1' ],
    [ POST => '/raw?key=mine&a=1', 'a body' ],
    [ GET  => '/header/a' ],
);
for (@calls) {
    my ($method, $uri, $body) = @$_;
    is $t->http($method, $uri, headers => \@mine, body => $body)->status, 200,
        "$method $uri";
}
is $t->get('/dead/x?a=1')->status, 503, 'no connection';

# What goes wrong is told in the log at length.
for my $rule ({ status => 401 }, { close => 'no_answer' },
    { raw => "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n" }, { truncate => 'mid_body', status => 500 })
{
    for my $sim (values %sim) {
        $sim->misbehave(times => -1, %$rule);
    }
    for (@calls[ 0 .. 4 ]) {
        my ($method, $uri, $body) = @$_;
        isnt $t->http($method, $uri, headers => \@mine, body => $body)->status,
            200, "$uri goes wrong";
    }
    $_->behave for values %sim;
}

my @secrets = map { $t->secret_value($_) } qw(plusid_api_key
    passportreader_public_key passportreader_secret plasmapay_api_key
    plaid_client_id plaid_secret generic_query generic_header);
my $any = join '|', map {quotemeta} @secrets;

for my $name (sort keys %sim) {
    my $requests = $sim{$name}->requests;
    my @copies   = map { $sim{$name}->header($_, 'X-Copy') } @$requests;

    is scalar @copies, scalar @$requests, "$name: a copy in each request";
    is scalar(grep {/$any|q%2Fuery/i} @copies), 0, 'without a secret';
    is scalar(grep {/Y2FsbGVyOnBhc3M|mine.*mine.*apiKey/} @copies), 0,
        "nor the caller's Authorization";
    like $copies[0], qr{/\w}, 'it is what else the caller sent';
}

$t->expect_log(qr/\[debug\].*http proxy header/) if $t->error_log =~ /\[debug\]/;
like $t->read('everything.log'), qr{/query/a\?a=1}, 'the access log is there';

done_testing;
