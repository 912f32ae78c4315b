#!/usr/bin/env perl

# Errors in the shapes of GoPay's APIs as problems: payments v3 and v4, and
# OAuth. The preset knows them, and so does a provider of any kind that is told
# by directives.

use strict;
use warnings;
use utf8;

use Mojo::JSON qw(encode_json);
use Test::Idpay;
use Test::Idpay::Gopay qw(prefill $prefill);
use Test::Idpay::Translation qw(is_translated);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gopay', tls => 0);
my $preset = $t->sim('gopay', name => 'preset', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    upstream gopay {
        server              %%SIM_gopay%%;
        keepalive           8;
        idpay_provider      generic;
        idpay_tls           off;
        idpay_host          generic.test;
        idpay_auth          bearer;
        idpay_secret        token file:%%SECRET_token%%;

        idpay_error_fields  code=/errors/0/error_name
                            code=/errors/0/error_code
                            code=/error
                            code=/code;
        idpay_error_fields  message=/errors/0/message
                            message=/errors/0/description
                            message=/error_description
                            message=/message
                            message=/detail;
        idpay_error_fields  errors=/errors
                            field=/field
                            field_code=/error_name
                            field_code=/error_code
                            field_message=/message
                            field_message=/description;

        idpay_error_map     status=403  credential_rejected;
        idpay_error_map     status=409  validation_failed;
        idpay_error_map     code=access_denied            consent_required;
        idpay_error_map     code=invalid_grant            consent_required;
        idpay_error_map     code=invalid_scope            permission_denied;
        idpay_error_map     code=invalid_client           credential_rejected;
        idpay_error_map     code=unauthorized_client      credential_rejected;
        idpay_error_map     code=invalid_token            credential_rejected;
        idpay_error_map     code=server_error             provider_error;
        idpay_error_map     code=temporarily_unavailable  provider_unavailable;
        %%UNLIMITED%%
    }
    %%UPSTREAM_preset%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /        { idpay_pass gopay; }
        location /preset/ { idpay_pass preset/; }
    }
}
CONF
$t->run;


# One error or more of payments v3.
sub v3 {
    my @errors = @_;
    return {
        date_issued => '2019-10-19T15:27:03.132+0200',
        errors      => \@errors,
    };
}


sub global {
    my ($code, $name, $message) = @_;
    return {
        scope      => 'G',
        error_code => $code,
        error_name => $name,
        message    => $message,
    };
}


sub of_field {
    my ($field, @error) = @_;
    return { %{ global(@error) }, scope => 'F', field => $field };
}


# Of payments v4, where all of these are required.
sub v4 {
    my ($code, $error, $message) = @_;
    return {
        code      => $code,
        error     => $error,
        message   => $message,
        detail    => 'a longer detail',
        path      => '/payments/123/charge',
        timestamp => '2025-12-10T10:30:00Z',
    };
}


# RFC 6749 5.2, also what a person is sent back with (4.1.2.1).
sub oauth {
    my ($error, $description) = @_;
    return { error => $error, error_description => $description };
}

my $wrong = of_field('id', 111, 'INVALID', 'Wrong value.');
my $field = { field => 'id', code => 'INVALID', detail => 'Wrong value.' };

my @rows = (

    # The table of the identification service shows no bodies.
    [ 401, undef, 'credential_rejected' ],
    [ 403, undef, 'credential_rejected' ],
    [ 404, undef, 'not_found' ],
    [ 409, undef, 'validation_failed' ],
    [ 500, undef, 'provider_error' ],
    [ 403, '<html>it was blocked</html>', 'credential_rejected' ],
    [ 409, '{"errors":[{"field":"a b', 'validation_failed' ],

    # Payments v3.
    [ 404, v3(global(304, 'PAYMENT_NOT_FOUND', 'Payment not found.')),
        'not_found', provider_code => 'PAYMENT_NOT_FOUND',
        detail => 'Payment not found.' ],
    [ 409, v3($wrong), 'validation_failed', provider_code => 'INVALID',
        detail => 'Wrong value.', errors => [$field] ],
    [ 409, v3(global(340, 'PAYMENT_RECURRENCE_FAILED', 'It has failed.')),
        'validation_failed', provider_code => 'PAYMENT_RECURRENCE_FAILED',
        detail => 'It has failed.' ],
    [ 409, v3(global(342, 'PAYMENT_RECURRENCE_STOPPED', 'It is stopped.')),
        'validation_failed', provider_code => 'PAYMENT_RECURRENCE_STOPPED',
        detail => 'It is stopped.' ],
    (map { [ 409, v3(global(0, $_, 'Not with this one.')),
            'validation_failed', provider_code => $_,
            detail => 'Not with this one.' ] }
        qw(PAYMENT_REFUND_NOT_SUPPORTED PAYMENT_CAPTURE_DONE)),
    [ 403, v3(global(200, 'UNAUTHORIZED', 'Not with this one.')),
        'credential_rejected', provider_code => 'UNAUTHORIZED' ],
    [ 500, v3(global(500, 'INTERNAL', 'It is an error.')), 'provider_error',
        provider_code => 'INTERNAL' ],

    # With parts of it, and with more of them.
    [ 409, v3({ scope => 'F', field => 'id', error_code => 111 }),
        'validation_failed', provider_code => '111',
        errors => [ { field => 'id', code => '111' } ] ],
    [ 409, v3({ field => 'id' }), 'validation_failed',
        errors => [ { field => 'id' } ] ],
    [ 409, v3({ %$wrong, message => undef, description => 'It is wrong.' }),
        'validation_failed', provider_code => 'INVALID',
        detail => 'It is wrong.',
        errors => [ { %$field, detail => 'It is wrong.' } ] ],
    [ 409, v3({ %$wrong, error_name => '' }), 'validation_failed',
        provider_code => '111', detail => 'Wrong value.',
        errors => [ { %$field, code => '111' } ] ],
    [ 409, v3($wrong, global(110, 'REQUIRED', 'A value is required.'),
            of_field('bic', 113, 'LENGTH', 'Chybná délka „BIC“.')),
        'validation_failed', provider_code => 'INVALID',
        detail => 'Wrong value.', errors => [ $field,
            { field => 'bic', code => 'LENGTH',
                detail => 'Chybná délka „BIC“.' } ] ],
    [ 409, v3(global(110, 'REQUIRED', 'A value is required.'), $wrong),
        'validation_failed', provider_code => 'REQUIRED',
        detail => 'A value is required.', errors => [$field] ],
    [ 409, v3(map { of_field("f$_", $_, "E$_", "Wrong $_ value.") } 1 .. 40),
        'validation_failed', provider_code => 'E1',
        detail => 'Wrong 1 value.', errors => [ map {
            { field => "f$_", code => "E$_", detail => "Wrong $_ value." }
        } 1 .. 32 ] ],
    [ 409, v3(of_field('', 1, 'E', 'It is of nothing.'), 'it is no object',
            of_field([7], 2, 'F', 'It is of a list.')),
        'validation_failed', provider_code => 'E',
        detail => 'It is of nothing.' ],
    [ 409, v3(), 'validation_failed' ],
    [ 409, { errors => $wrong }, 'validation_failed' ],
    [ 409, { errors => [], error => 'EMPTY', message => 'It is said here.' },
        'validation_failed', provider_code => 'EMPTY',
        detail => 'It is said here.' ],

    # Payments v4.
    [ 400, v4(400, 'BAD_REQUEST', 'Not this one.'), 'invalid_request',
        provider_code => 'BAD_REQUEST', detail => 'Not this one.' ],
    [ 401, v4(401, 'UNAUTHORIZED', 'Not this token.'), 'credential_rejected',
        provider_code => 'UNAUTHORIZED' ],
    [ 403, v4(403, 'FORBIDDEN', 'Missing token scope'), 'credential_rejected',
        provider_code => 'FORBIDDEN' ],
    [ 404, v4(404, 'NOT_FOUND', 'It is not there.'), 'not_found',
        provider_code => 'NOT_FOUND', detail => 'It is not there.' ],
    [ 409, v4(409, 'CONFLICT', 'Wrong resource state'), 'validation_failed',
        provider_code => 'CONFLICT', detail => 'Wrong resource state' ],
    [ 500, v4(500, 'INTERNAL', 'It is an error.'), 'provider_error',
        provider_code => 'INTERNAL' ],
    [ 400, { code => 400, detail => 'a longer detail' }, 'invalid_request',
        provider_code => '400', detail => 'a longer detail' ],

    # OAuth, and what a person comes back with.
    [ 400, oauth('access_denied', 'No consent was given.'),
        'consent_required', provider_code => 'access_denied',
        detail => 'No consent was given.' ],
    [ 400, oauth('invalid_scope', 'Not in this scope.'), 'permission_denied',
        provider_code => 'invalid_scope', detail => 'Not in this scope.' ],
    [ 400, oauth('invalid_grant', 'It was revoked.'), 'consent_required',
        provider_code => 'invalid_grant', detail => 'It was revoked.' ],
    (   map {
            my $code = $_;
            map { [ $_, oauth($code, 'It is not known.'),
                    'credential_rejected', provider_code => $code ] }
                400, 401, 403
        } qw(invalid_client unauthorized_client invalid_token)
    ),
    (map { [ 400, oauth($_, 'Not this one.'), 'invalid_request',
            provider_code => $_, detail => 'Not this one.' ] }
        qw(invalid_request unsupported_grant_type unsupported_response_type)),
    (map { [ $_, oauth('server_error', 'It is broken.'), 'provider_error',
            provider_code => 'server_error' ] } 400, 500),
    (map { [ $_, oauth('temporarily_unavailable', 'Come back later.'),
            'provider_unavailable',
            provider_code => 'temporarily_unavailable' ] } 400, 503),

    # The code counts, whatever the status.
    (map { [ $_, oauth('access_denied', 'No consent was given.'),
            'consent_required', provider_code => 'access_denied',
            detail => 'No consent was given.' ] } 401, 403, 409, 500),
    (map { [ $_, oauth('invalid_scope'), 'permission_denied',
            provider_code => 'invalid_scope' ] } 401, 403, 409, 500),
    [ 403, v3({ error_name => 'access_denied', message => 'It is denied.' }),
        'consent_required', provider_code => 'access_denied',
        detail => 'It is denied.' ],
    [ 403, oauth('access_denied_too', 'It is denied.'),
        'credential_rejected', provider_code => 'access_denied_too' ],

    # Beside all that.
    [ 429, undef, 'rate_limited',         retry_after => 5 ],
    [ 503, undef, 'provider_unavailable', retry_after => 5 ],
    [ 501, undef, 'provider_error',       again => 'no' ],
    [ 422, undef, 'validation_failed' ],
    [ 402, undef, 'request_failed' ],
);

my $uri   = '/v1/client';
my @calls = (
    [ GET  => "$uri/client-profile/123/identification-status", 1 ],
    [ POST => "$uri/prefill-client-data", 0, '{}' ],
);
for my $row (@rows) {
    is_translated($t, $sim, $_, @$row) for @calls;
}


# A refused token is renewed, which is another matter: see
# idpay_token_application.t.
is prefill($t, uri => "/preset$prefill")->status, 200, 'the preset has a token';

for my $row (grep { $_->[0] != 401 && $_->[0] != 403 } @rows) {
    my @more = $row->[2] ne 'consent_required' ? ()
        : (consent_url => 'https://auth.gopay.com/consent');
    is_translated($t, $preset, [ GET => "/preset$uri/any", 1 ], @$row, @more);
}


# Without a field for the status a 200 is what it says.
$sim->behave->misbehave(status => 200, json => v3($wrong));
is $t->get($uri)->body, encode_json(v3($wrong)), 'an error within a 200 passes';

$t->expect_log(
    qr/\[error\].*idpay: "gopay" refused the gateway's credential .* $_\b/)
    for 400, 401, 403;

done_testing;
