#!/usr/bin/env perl

# Errors of PlusID as problems: each status of its table and some beside it,
# with a code and a message in every place where these may stand.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Translation qw(is_translated);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plusid', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    %%UPSTREAM_plusid%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass plusid; }
    }
}
CONF
$t->run;


sub is_problem { return is_translated($t, $sim, @_) }


# A code and a message under all the names that they may have: which they have
# is not documented.
sub named {
    my ($code, $message) = @_;
    return (
        { code       => $code, message       => $message },
        { error_code => $code, error_message => $message },
        { errorCode  => $code, errorMessage  => $message },
        { error => { code => $code, message => $message } },
        { code => $code, error => $message },
    );
}


# The same row for each of these.
sub rows {
    my ($status, $code, $name, $message, %told) = @_;
    return map { [ $status, $_, $code, provider_code => $name, %told ] }
        named($name, $message);
}


# The same, of a message that is told.
sub told {
    my ($status, $code, $name, $message, %told) = @_;
    return rows($status, $code, $name, $message, detail => $message, %told);
}


my @rows = (
    told(400, 'invalid_request', 'missing_parameter', 'expected: pay, data'),
    told(400, 'invalid_request', 4007, 'no such currency'),
    rows(401, 'credential_rejected', 'unauthorized', 'this key is not valid'),
    told(402, 'request_failed', 'too_high', 'more than was authorized'),
    told(403, 'permission_denied', 'not_granted', 'no access to firstNames'),
    told(404, 'not_found', 'not_found', 'no request req_1'),
    told(409, 'conflict', 'conflict', 'the request is cancelled'),
    told(429, 'rate_limited', 'throttled', 'wait a while'),
    rows(500, 'provider_error', 'internal', 'a new version comes'),
    rows(501, 'provider_error', 'unknown', 'no such method here', again => 'no'),
    rows(503, 'provider_unavailable', 'disabled', 'this endpoint is disabled'),

    # Only some have a code and a message.
    [ 400, undef, 'invalid_request' ],
    [ 401, undef, 'credential_rejected' ],
    [ 402, undef, 'request_failed' ],
    [ 403, undef, 'permission_denied' ],
    [ 404, undef, 'not_found' ],
    [ 409, undef, 'conflict' ],
    [ 429, undef, 'rate_limited' ],
    [ 501, undef, 'provider_error', again => 'no' ],
    [ 505, undef, 'provider_error', again => 'no' ],
    [ 503, undef, 'provider_unavailable' ],
    (map { [ $_, undef, 'provider_error' ] } 500, 502, 504, 506, 520, 599),
    [ 400, { message => 'only a text' }, 'invalid_request',
        detail => 'only a text' ],
    [ 400, { code => 'a_code' }, 'invalid_request', provider_code => 'a_code' ],
    [ 400, { code => undef, message => '', error_code => 'the_second' },
        'invalid_request', provider_code => 'the_second' ],

    # What says nothing of it.
    [ 400, '<h1>Bad Request: see below</h1>', 'invalid_request' ],
    [ 400, '{"code":"c","message":"half a bo', 'invalid_request' ],
    [ 400, { type => 'a type', request_id => 'an id', errors => ['an error'] },
        'invalid_request' ],
    [ 400, [ { code => 'c', message => 'not at the top' } ],
        'invalid_request' ],

    # When to call again, where it is of any use.
    [ 429, undef, 'rate_limited',         retry_after => 7 ],
    [ 503, undef, 'provider_unavailable', retry_after => 7 ],
    [ 500, undef, 'provider_error',       retry_after => 7 ],
    [ 501, undef, 'provider_error',       retry_after => 7, again => 'no' ],
    [ 400, undef, 'invalid_request',      retry_after => 7 ],
    [ 401, undef, 'credential_rejected',  retry_after => 7 ],

    # A status that is not in the table is what it is in HTTP.
    told(410, 'not_found',         'gone',    'it is gone'),
    told(422, 'validation_failed', 'invalid', 'not this value'),
    (map { told($_, 'invalid_request', 'why', 'says why') }
        407, 408, 416, 417, 418, 421, 423, 428, 431, 451, 499),
    (map { told($_, 'invalid_request', 'why', 'says why', status => $_) }
        405, 406, 411, 413, 414, 415),
);
for my $row (@rows) {
    is_problem([ GET  => '/v1/requests/1', 1 ], @$row);
    is_problem([ POST => '/v1/requests', 0, '{}' ], @$row);
}

my @calls = (
    [ PUT    => '/v1/requests/1',        1, '{}' ],
    [ DELETE => '/v1/requests/1',        1 ],
    [ PATCH  => '/v1/requests/1',        0, '{}' ],
    [ POST   => '/v1/requests/1/cancel', 0, '{}' ],
);
for my $call (@calls) {
    is_problem($call, 500, { message => 'it is broken' }, 'provider_error');
    is_problem($call, 409, { message => 'it is paid' }, 'conflict',
        detail => 'it is paid');
}


# What is allowed belongs to a 405, and to no other.
my $get = [ GET => '/v1/requests/1', 1 ];
my @allow = (head => [ [ 'Allow', 'GET, PUT' ] ]);
is_problem($get, 403, undef, 'permission_denied', @allow);
is is_problem($get, 405, undef, 'invalid_request', @allow, status => 405,
    sent => ['allow'])
    ->header('Allow'), 'GET, PUT', 'the methods that are allowed';


# Nothing can be read of a body that is encoded, or is not there.
is_problem($get, 404, { code => 'c', message => 'it is encoded' },
    'not_found', head => [ [ 'Content-Encoding', 'gzip' ] ]);

$sim->behave->misbehave(status => 409, json => { code => 'c' });
my $head = $t->http(HEAD => '/v1/requests/1');
is $head->status, 409, 'HEAD';
is $head->header('Content-Type'), 'application/problem+json', 'its type';
is $head->body, '', 'and no body';


# The simulator's own errors, with the right key and with a wrong one.
$sim->behave;
my $r = $t->get('/v1/requests/none');
is_deeply [ $r->status, @{ $r->json }{qw(code provider_code detail)} ],
    [ 404, 'not_found', 'not_found', 'no request none' ], 'a real 404';
$sim->expect(plusid_api_key => 'another');
$r = $t->get('/v1/requests/none');
is_deeply [ $r->status, @{ $r->json }{qw(code provider_code fault)} ],
    [ 502, 'credential_rejected', 'unauthorized', 'credential' ], 'a real 401';

$t->expect_log(
    qr/\[error\].*idpay: "plusid" refused the gateway's credential .* 401\b/);

done_testing;
