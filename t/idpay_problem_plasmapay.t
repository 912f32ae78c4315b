#!/usr/bin/env perl

# Errors of PlasmaPay as problems: each status of its table, told by HTTP or,
# within a 2xx, by the body alone. What is no error there passes as it is.

use strict;
use warnings;

use Mojo::JSON qw(encode_json);
use Test::Idpay;
use Test::Idpay::Translation qw(is_translated);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plasmapay', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    %%UPSTREAM_plasmapay%%
    upstream off {
        server              %%SIM_plasmapay%%;
        idpay_provider      plasmapay;
        idpay_tls           off;
        idpay_host          plasmapay.test;
        idpay_secret        api_key file:%%SECRET_plasmapay_api_key%%;
        idpay_error_fields  status=off;
        %%UNLIMITED%%
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /      { idpay_pass plasmapay; }
        location /off/  { idpay_pass off/; }
        location /as-is/ { idpay_errors off; idpay_pass plasmapay/; }
    }
}
CONF
$t->run;


sub is_problem { return is_translated($t, $sim, @_) }


my $invoices = '/business/api/v1/public/invoices';
my @calls    = (
    [ GET    => $invoices,                 1 ],
    [ DELETE => "$invoices/inv_1",         1 ],
    [ POST   => $invoices,                 0, '{"amount":"1.5"}' ],
);

# The status, whether the message is told, the code, and what else is special.
my @table = (
    [ 400, 1, 'invalid_request' ],
    [ 401, 0, 'credential_rejected' ],
    [ 403, 1, 'permission_denied' ],
    [ 404, 1, 'not_found' ],
    [ 422, 1, 'validation_failed' ],
    [ 500, 0, 'provider_error' ],
    [ 503, 0, 'provider_unavailable' ],

    # not in the vendor's table
    [ 402, 1, 'request_failed' ],
    [ 405, 1, 'invalid_request', status => 405 ],
    [ 409, 1, 'conflict' ],
    [ 418, 1, 'invalid_request' ],
    [ 429, 1, 'rate_limited' ],
    [ 501, 0, 'provider_error', again => 'no' ],
    [ 502, 0, 'provider_error' ],
    [ 504, 0, 'provider_error' ],
    [ 599, 0, 'provider_error' ],
);

for my $row (@table) {
    my ($status, $told, $code, %told) = @$row;

    my $message = "what the $status is about";
    $told{detail} = $message if $told;

    for my $call (@calls) {
        for my $value ("$status", $status) {
            my %body = (code => $value, message => $message);

            is_problem($call, $status, \%body, $code, %told,
                provider_code => $status);
            is_problem($call, $_, \%body, $code, %told,
                provider_code => $status, as => $status)
                for 200, 201, 202, 299;
        }

        # Without a code, and with one that is no status.
        is_problem($call, $status, { message => $message }, $code, %told);
        is_problem($call, $status, { code => 'E-1', message => $message },
            $code, %told, provider_code => 'E-1');
        is_problem($call, $status, undef, $code,
            map { $_ => $told{$_} } grep { $_ ne 'detail' } keys %told);
    }
}

# With an error's own status nothing else counts.
my $error = { code => '400', message => 'it is said so' };
is_problem($calls[0], 404, $error, 'not_found', provider_code => '400',
    detail => 'it is said so');
is_problem($calls[2], 500, $error, 'provider_error', provider_code => '400');
is_problem($calls[2], 404, { %$error, code => 500, id => 'i' }, 'not_found',
    provider_code => '500', detail => 'it is said so');
is_problem($_, 503, $error, 'provider_unavailable', provider_code => '400',
    retry_after => 7)
    for @calls;
is_problem($_, 200, { %$error, code => 503 }, 'provider_unavailable',
    provider_code => '503', as => 503, retry_after => 7)
    for @calls;
is_problem($calls[0], 200, $error, 'invalid_request', provider_code => '400',
    detail => 'it is said so', retry_after => 7);

# In a 2xx there may be more in the body, but no invoice.
is_problem($calls[2], 200, { %$error, data => undef, status => 'failed' },
    'invalid_request', provider_code => '400', detail => 'it is said so');
is_problem($calls[2], 200, { code => '422' }, 'validation_failed',
    provider_code => '422');
is_problem($calls[2], 200, { %$error, id => undef }, 'invalid_request',
    provider_code => '400', detail => 'it is said so');
is_problem($calls[2], 200, { %$error, id => '' }, 'invalid_request',
    provider_code => '400', detail => 'it is said so');
is_problem($calls[2], 200, { %$error, result => { id => 7 } },
    'invalid_request', provider_code => '400', detail => 'it is said so');


# Byte for byte the answer that was given.
sub passes {
    my ($name, $body, %how) = @_;

    my $method = $how{method} // 'POST';
    my $status = $how{status} // 200;
    my $type   = $how{type}   // 'application/json';

    $sim->behave->misbehave(
        status  => $status,
        body    => $body,
        headers => [ [ 'Content-Type', $type ], @{ $how{headers} // [] } ],
    );
    my $r = $t->http($method, $how{uri} // $invoices);
    is $r->status, $status, "passes: $name";
    is $r->body, $method eq 'HEAD' ? '' : $body, 'its body';
    is $r->header('Content-Type'),   $type,        'its type';
    is $r->header('Content-Length'), length $body, 'its length';
    return $r;
}

my $text = encode_json($error);

passes('an invoice with a code', '{ "id":"1", "code":"400" , "message":"m"}');
passes('with an id that is a number', '{"code":500,"id":0}');
passes('with one that is false', '{"code":500,"id":false}');
passes('a pong', '{"message":"pong ;)"}', method => 'GET');
passes('a deletion', '{"message":"Invoice successfully removed","status":200}',
    method => 'DELETE');
passes('a status that is no code', '{"message":"no","status":400}');
passes('a list', '{ "result" : [ {"code":"400"} ], "meta":{"total":1} }',
    method => 'GET');
passes("code $_", qq({"code":$_,"message":"m"}))
    for qw(0 1 99 200 204 302 399 600 999 1400 4000 -400 +400 400.0 4e2 null
    true [400] {"code":400}), '""', '"200"', '"399"', '"600"', '"400x"',
    '"x400"', '" 400"', '"400 "', '"0x190"', '"-400"', '"bad"', '"4 00"',
    '"18446744073709552016"';
passes('no object', $_) for '', '[]', "[$text]", '400', '"400"', 'null',
    "$text $text", substr($text, 0, -1), "{'code':'400'}";
passes('no JSON', $text, type => $_)
    for 'text/html', 'text/json+x', 'application/jsonp', 'application/xjson',
    'application/.json', 'json';
passes('no 2xx', $text, status => $_,
    headers => [ [ Location => 'http://elsewhere.test/' ] ])
    for 300, 302, 307;
passes('a HEAD', $text, method => 'HEAD');
passes('as is', $text, uri => "/as-is$invoices");
passes('off',   $text, uri => "/off$invoices");
passes('of another encoding', $text,
    headers => [ [ 'Content-Encoding', 'identity-of-no-kind' ] ]);

# A header's name and the body's type have no case, and a type may say more.
for my $type ('Application/JSON', 'application/json; charset=utf-8',
    'application/vnd.api+json')
{
    $sim->behave->misbehave(status => 200, body => $text,
        headers => [ [ 'content-type', $type ] ]);
    is $t->post($invoices, '{}')->status, 400, "in $type";
}

# Where it is off, statuses of HTTP go on to count.
$sim->behave->misbehave(status => 422, json => { %$error, code => '422' });
my $r = $t->post("/off$invoices", '{}');
is_deeply [ $r->status, @{ $r->json }{qw(code provider_code detail)} ],
    [ 422, 'validation_failed', '422', 'it is said so' ], 'off, a real 422';


# The simulator's own errors, with the right key and with a wrong one.
$sim->behave;
$r = $t->post($invoices, '{"currencyCode":"EURP"}');
is_deeply [ $r->status, @{ $r->json }{qw(code provider_code detail)} ],
    [ 422, 'validation_failed', '422', 'amount is required' ], 'a real 422';
$sim->expect(plasmapay_api_key => 'another');
$r = $t->get($invoices);
is_deeply [ $r->status, @{ $r->json }{qw(code provider_code fault)} ],
    [ 502, 'credential_rejected', '401', 'credential' ], 'a real 401';

$t->expect_log(
    qr/\[error\].*idpay: "plasmapay" refused the gateway's credential .* $_\b/)
    for 200, 401;

done_testing;
