#!/usr/bin/env perl

# Errors of Plaid as problems: the error code tells before the error type, and
# that before the status. A wrong key is a 400 there.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Translation qw(is_translated status_of);
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
        location / { idpay_pass plaid; }
    }
}
CONF
$t->run;

my @type = ([ 'Content-Type', 'application/json' ]);


# A header has an ID as well: that in the body counts.
sub is_problem {
    return is_translated($t, $sim, @_,
        head => [ [ 'Plaid-Request-ID', 'of-the-header' ] ]);
}


my $uri  = '/identity_verification';
my $get  = [ POST => "$uri/get",   1, '{"identity_verification_id":"idv_1"}' ];
my $idem = [ POST => "$uri/create", 1, '{"is_idempotent":true}' ];

my @calls = (
    $get, $idem,
    [ POST => "$uri/retry",  0, '{"strategy":"reset"}' ],
    [ POST => "$uri/create", 0, '{"is_idempotent":false}' ],
);


# An error as all of them are, and what of it is always told.
sub error {
    my ($type, $code, $message) = @_;
    return {
        error_type      => $type,
        error_code      => $code,
        error_message   => $message // 'the message of it',
        display_message => undef,
        request_id      => 'HNTDNrA8F1shFEW',
    };
}


sub known {
    my ($type, $code) = @_;
    return (
        provider_type       => $type,
        provider_code       => $code,
        provider_request_id => 'HNTDNrA8F1shFEW',
    );
}


# The status, the type and the code, and what it is; %told after these.
sub is_error {
    my ($status, $type, $code, $problem, %told) = @_;

    my $message = delete $told{message} // 'the message of it';
    $told{detail} = $message if status_of($problem) < 500;
    is_problem($_, $status, error($type, $code, $message), $problem,
        known($type, $code), %told)
        for @calls;
    return;
}


my @rows = (
    [ 400, 'INVALID_INPUT', 'INVALID_API_KEYS', 'credential_rejected',
        message => 'invalid client_id or secret provided' ],
    (map { [ 400, 'INVALID_INPUT', $_, 'credential_rejected' ] }
        qw(UNAUTHORIZED_ENVIRONMENT UNAUTHORIZED_ROUTE_ACCESS
        INVALID_PRODUCT)),
    (map { [ 400, 'INVALID_INPUT', $_, 'invalid_request' ] }
        qw(INVALID_USER_ID INVALID_WEBHOOK_VERIFICATION_KEY_ID
        ADDITIONAL_CONSENT_REQUIRED)),
    (map { [ 400, 'INVALID_REQUEST', $_, 'invalid_request' ] }
        qw(INCOMPATIBLE_API_VERSION INVALID_ACCOUNT_NUMBER INVALID_BODY
        INVALID_CONFIGURATION INVALID_FIELD INVALID_HEADERS MISSING_FIELDS
        SANDBOX_ONLY UNKNOWN_FIELDS)),
    [ 403, 'USER_ERROR', 'INVALID_USER_IDENTITY_DATA', 'invalid_request' ],
    (map { [ 404, 'INVALID_REQUEST', $_, 'not_found' ] }
        qw(NOT_FOUND NO_LONGER_AVAILABLE)),
    [ 429, 'RATE_LIMIT_EXCEEDED', 'RATE_LIMIT', 'rate_limited',
        message => 'rate limit exceeded for attempts to access this item. '
            . 'please try again later' ],
    (map { [ 429, 'RATE_LIMIT_EXCEEDED', $_, 'rate_limited' ] }
        qw(INSTITUTION_RATE_LIMIT ACCOUNTS_LIMIT ACCOUNTS_BALANCE_GET_LIMIT
        ITEM_GET_LIMIT TRANSACTIONS_LIMIT TRANSACTIONS_SYNC_LIMIT
        INVESTMENT_HOLDINGS_GET_LIMIT INVESTMENT_TRANSACTIONS_LIMIT
        TRANSACTIONS_REFRESH_LIMIT)),
    [ 429, 'RATE_LIMIT_EXCEEDED', 'RATE_LIMIT', 'rate_limited',
        retry_after => 60 ],
    [ 500, 'API_ERROR', 'INTERNAL_SERVER_ERROR', 'provider_error' ],
    [ 500, 'API_ERROR', 'INTERNAL_SERVER_ERROR', 'provider_error',
        retry_after => 60 ],
    [ 503, 'API_ERROR', 'PLANNED_MAINTENANCE', 'provider_unavailable' ],
    [ 503, 'API_ERROR', 'PLANNED_MAINTENANCE', 'provider_unavailable',
        retry_after => 60 ],

    # A status may change at any time: the code counts, ...
    (map { [ $_, 'INVALID_INPUT', 'INVALID_API_KEYS', 'credential_rejected' ] }
        401, 403, 404, 429, 500, 503),
    (map { [ $_, 'API_ERROR', 'PLANNED_MAINTENANCE', 'provider_unavailable' ] }
        400, 429, 500),
    [ 400, 'INVALID_REQUEST', 'NOT_FOUND', 'not_found' ],
    [ 500, 'INVALID_REQUEST', 'NOT_FOUND', 'not_found' ],

    # ... and to another type, ...
    [ 429, 'RATE_LIMIT_EXCEEDED', 'INVALID_API_KEYS', 'credential_rejected' ],
    [ 400, 'INVALID_INPUT', 'PLANNED_MAINTENANCE', 'provider_unavailable' ],
    [ 500, 'API_ERROR', 'UNAUTHORIZED_ENVIRONMENT', 'credential_rejected' ],
    [ 400, 'SOMETHING_NEW', 'INVALID_PRODUCT', 'credential_rejected' ],

    # ... and of an unknown code the type.
    (map { [ $_, 'RATE_LIMIT_EXCEEDED', 'NEW_LIMIT', 'rate_limited' ] }
        400, 403, 500, 503),
    (map { [ $_, 'USER_ERROR', 'NEW_CODE', 'invalid_request' ] }
        403, 409, 422, 500),
    (map { [ $_, 'API_ERROR', 'NEW_CODE', 'provider_error' ] }
        400, 404, 500, 502),
    [ 501, 'API_ERROR', 'NEW_CODE', 'provider_error', again => 'no' ],

    # A type that is not known, or says nothing, is as its status is.
    (   map {
            my $type = $_;
            (map { [ 400, $type, $_, 'invalid_request' ] } qw(A_CODE RATE)),
                [ 401, $type, 'A_CODE', 'credential_rejected' ],
                [ 402, $type, 'A_CODE', 'request_failed' ],
                [ 403, $type, 'A_CODE', 'permission_denied' ],
                [ 404, $type, 'A_CODE', 'not_found' ],
                [ 409, $type, 'A_CODE', 'conflict' ],
                [ 415, $type, 'A_CODE', 'invalid_request', status => 415 ],
                [ 422, $type, 'A_CODE', 'validation_failed' ],
                [ 429, $type, 'A_CODE', 'rate_limited' ],
                [ 500, $type, 'A_CODE', 'provider_error' ],
                [ 501, $type, 'A_CODE', 'provider_error', again => 'no' ],
                [ 503, $type, 'A_CODE', 'provider_unavailable' ],
        } qw(SOMETHING_NEW RATE_LIMIT_EXCEEDED_TOO INVALID rate_limit_exceeded
            INVALID_REQUEST INVALID_INPUT)
    ),
);
is_error(@$_) for @rows;


# Every type that there is, with a 400 and a code that is not known.
my %of = (
    RATE_LIMIT_EXCEEDED => 'rate_limited',
    API_ERROR           => 'provider_error',
    INSTITUTION_ERROR   => 'provider_error',
);
is_error(400, $_, 'A_CODE', $of{$_} // 'invalid_request')
    for qw(INVALID_REQUEST INVALID_RESULT INVALID_INPUT INSTITUTION_ERROR
    RATE_LIMIT_EXCEEDED API_ERROR ITEM_ERROR ASSET_REPORT_ERROR
    BASE_REPORT_ERROR RECAPTCHA_ERROR OAUTH_ERROR PAYMENT_ERROR
    BANK_TRANSFER_ERROR INCOME_VERIFICATION_ERROR MICRODEPOSITS_ERROR
    SANDBOX_ERROR PARTNER_ERROR SIGNAL_ERROR TRANSACTIONS_ERROR
    TRANSACTION_ERROR TRANSFER_ERROR CHECK_REPORT_ERROR CONSUMER_REPORT_ERROR
    USER_ERROR);


# Less than all of it.
my %of_header = (provider_request_id => 'of-the-header');

is_problem($get, 400, { error_code => 'INVALID_API_KEYS' },
    'credential_rejected', provider_code => 'INVALID_API_KEYS', %of_header);
is_problem($get, 400, { error_type => 'RATE_LIMIT_EXCEEDED' }, 'rate_limited',
    provider_type => 'RATE_LIMIT_EXCEEDED', %of_header);
is_problem($get, 400, { code => 'INVALID_API_KEYS', type => 'API_ERROR',
    message => 'not by these names' }, 'invalid_request', %of_header);
is_problem($get, 400, { error => error('API_ERROR', 'INVALID_API_KEYS') },
    'invalid_request', %of_header);
is_problem($get, $_->[0], $_->[1], $_->[2], %of_header)
    for [ 400, undef, 'invalid_request' ], [ 400, {}, 'invalid_request' ],
    [ 404, '<h1>it is not here</h1>', 'not_found' ],
    [ 500, '{"error_type":"RATE_LIMIT_EXCEEDED"', 'provider_error' ],
    [ 503, [ error('INVALID_INPUT', 'INVALID_API_KEYS') ],
        'provider_unavailable' ];

my $error = error('INVALID_REQUEST', 'INVALID_FIELD');
my @known = ('invalid_request', known('INVALID_REQUEST', 'INVALID_FIELD'));

is_problem($get, 400, { %$error, display_message => 'for a person to see' },
    @known, detail => 'the message of it');
is_problem($get, 400, { %$error, error_message => $_,
    display_message => 'for a person to see' },
    @known, detail => 'for a person to see')
    for undef, '';
is_problem($get, 400, { %$error, error_message => undef }, @known);
is_problem($get, 400, { %$error, request_id => $_ }, @known,
    detail => 'the message of it', provider_request_id => 'of-the-header')
    for undef, '';
is_problem($get, 400, {
    %$error,
    error_code_reason => 'a reason of it',
    causes            => [ error('API_ERROR', 'A_CODE', 'the cause of it') ],
    status            => 500,
    documentation_url => 'https://plaid.test/docs',
    suggested_action  => 'do it again',
    errors            => [ { field => 'a', message => 'it is not one' } ],
}, @known, detail => 'the message of it');


# An answer 200 is none, whatever is in it.
$sim->behave->misbehave(status => 200, json => { %$error, status => 400 });
my $r = $t->post("$uri/get", $get->[3], headers => \@type);
is $r->status, 200, 'an error within a 200 passes';
is $r->json->{error_code}, 'INVALID_FIELD', 'as it is';


# The simulator's own errors, with the right key and with a wrong one.
$sim->behave;
$r = $t->post("$uri/get", '{}', headers => \@type);
is_deeply [ $r->status, @{ $r->json }{qw(code provider_type provider_code)} ],
    [ 400, 'invalid_request', 'INVALID_REQUEST', 'MISSING_FIELDS' ],
    'a real 400';
like $r->json->{provider_request_id}, qr{^[\w+/]{15}$}, 'and its id';
$sim->expect(plaid_secret => 'another');
$r = $t->post("$uri/get", '{}', headers => \@type);
is_deeply [ $r->status, @{ $r->json }{qw(code provider_code fault)} ],
    [ 502, 'credential_rejected', 'INVALID_API_KEYS', 'credential' ],
    'a wrong key';

$t->expect_log(
    qr/\[error\].*idpay: "plaid" refused the gateway's credential .* $_\b/)
    for 400, 401, 500;

done_testing;
