#!/usr/bin/env perl

# Errors of PassportReader as problems: each status of its table, with a name
# and a message, and without.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Translation qw(is_translated);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('passportreader', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    %%UPSTREAM_passportreader%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass passportreader; }
    }
}
CONF
$t->run;

my @type = ([ 'Content-Type', 'application/json' ]);


sub is_problem { return is_translated($t, $sim, @_) }


sub named {
    my ($name, $message) = @_;
    return { error_message => $message, error_name => $name };
}


# A row of an error that says both, and whose message is told.
sub told {
    my ($status, $code, $name, $message, %told) = @_;
    return [ $status, named($name, $message), $code, provider_code => $name,
        detail => $message, %told ];
}


# The same of one whose message is not.
sub row {
    my ($status, $code, $name, $message, %told) = @_;
    return [ $status, named($name, $message), $code, provider_code => $name,
        %told ];
}


my @rows = (
    told(400, 'invalid_request', 'MissingProperty', 'Missing property: id'),
    row(401, 'credential_rejected', 'Unauthorized', 'these are not known'),
    told(403, 'permission_denied', 'Forbidden', 'not with these permissions'),
    told(404, 'not_found', 'SessionNotFound',
        'No session found with id: 123'),
    told(404, 'not_found', 'SessionNotFound',
        'No session found with id: 9007199254740993'),
    row(500, 'provider_error', 'InternalError', 'it is broken here'),

    # Only some have a message.
    [ 400, {}, 'invalid_request' ],
    [ 401, {}, 'credential_rejected' ],
    [ 403, {}, 'permission_denied' ],
    [ 404, {}, 'not_found' ],
    [ 500, {}, 'provider_error' ],
    [ 400, { error_name => 'InvalidType' }, 'invalid_request',
        provider_code => 'InvalidType' ],
    [ 404, { error_message => 'it is gone' }, 'not_found',
        detail => 'it is gone' ],

    # What says nothing of it.
    [ 400, undef, 'invalid_request' ],
    [ 404, '<p>nothing is here</p>', 'not_found' ],
    [ 500, '{"error_name":"half of it', 'provider_error' ],
    [ 400, { code => 'c', message => 'another name', error => 'and another' },
        'invalid_request' ],
    [ 400, { error => named('C', 'not at the top') }, 'invalid_request' ],
    [ 400, [ named('C', 'not at the top') ], 'invalid_request' ],
    [ 400, { error_name => ['A'], error_message => { text => 'in here' } },
        'invalid_request' ],

    # What is not in the table.
    told(405, 'invalid_request', 'MethodNotAllowed', 'it must be a POST',
        status => 405),
    told(409, 'conflict',          'Conflict',    'it is another one'),
    told(422, 'validation_failed', 'InvalidType', 'id must be an integer'),
    told(429, 'rate_limited',      'TooMany',     'wait a while'),
    told(429, 'rate_limited', 'TooMany', 'wait a while', retry_after => 16),
    row(501, 'provider_error', 'NotImplemented', 'not this one',
        again => 'no'),
    (map { row($_, 'provider_error', 'Gateway', 'it is behind this') }
        502, 504),
    row(503, 'provider_unavailable', 'Overloaded', 'it is too much'),
    row(503, 'provider_unavailable', 'Overloaded', 'it is too much',
        retry_after => 16),
);

my $uri   = '/api/v1/session';
my @calls = (
    [ POST => "$uri.get",    1, '{"id":9007199254740993}' ],
    [ POST => "$uri.update", 0, '{"id":9007199254740993}' ],
);
for my $row (@rows) {
    is_problem($_, @$row) for @calls;
}

# By the provider's own rule a session may be made twice, and both prefixes
# are in its reference.
is_problem([ POST => $_->[0], $_->[1], '{}' ],
    500, named('InternalError', 'it is broken here'), 'provider_error',
    provider_code => 'InternalError')
    for [ "$uri.create", 1 ], [ "$uri.list", 1 ], [ "$uri.state", 1 ],
    [ "$uri.delete", 0 ], [ '/api/session.create', 1 ],
    [ '/api/session.update', 0 ];


# The simulator's own errors, with the right key and with a wrong one.
$sim->behave;
my $r = $t->post("$uri.get", '{"id":123}', headers => \@type);
is_deeply [ $r->status, @{ $r->json }{qw(code provider_code detail)} ],
    [ 404, 'not_found', 'SessionNotFound', 'No session found with id: 123' ],
    'a real 404';
$sim->expect(passportreader_secret => 'secret-of-another');
$r = $t->post("$uri.get", '{"id":123}', headers => \@type);
is_deeply [ $r->status, @{ $r->json }{qw(code provider_code fault)} ],
    [ 502, 'credential_rejected', 'Unauthorized', 'credential' ], 'a real 401';
is $r->header('WWW-Authenticate'), undef, 'without its challenge';

$t->expect_log(
    qr/\[error\].*"passportreader" refused the gateway's credential .* 401\b/);

done_testing;
