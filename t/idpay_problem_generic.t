#!/usr/bin/env perl

# "idpay_error_fields" and "idpay_error_map": where the errors of a provider
# say something, and what they mean.

use strict;
use warnings;

use Mojo::JSON qw(encode_json);
use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', tls => 0, name => 'gate');
my $key = $t->secret('key');


# Each is a generic upstream of that name with these directives.
my %upstream = (
    fields => <<'CONF',
        idpay_error_fields code=/error/code;
        idpay_error_fields type=/kind message=/text;
        idpay_error_fields code=/code code=X-Error-Code code=/errors/0/code
                           message=X_Text message=/a~1b/m~0n message=/
                           request_id=X-Request-ID request_id=/trace
                           errors=/errors errors=/error/fields
                           field=/name field=/in/0 field_code=/code
                           field_message=/text field_message=/code;
CONF
    none => '',
    map  => <<'CONF',
        idpay_error_fields code=/code type=/type;

        # the other way round than they are tried; of one kind in order
        idpay_error_map status=4xx    conflict;
        idpay_error_map status=418    not_found;
        idpay_error_map status=5xx    provider_unavailable;
        idpay_error_map status=500    provider_timeout;
        idpay_error_map type=T*       rate_limited;
        idpay_error_map type=TYPE     request_failed;
        idpay_error_map type=T2       request_failed;
        idpay_error_map code=C        validation_failed;
        idpay_error_map code=C*       consent_required;
        idpay_error_map code=CC       request_failed;
        idpay_error_map "code=a b"    not_found;
        idpay_error_map code=7        permission_denied;
        idpay_error_map code=x*y      not_found;
        idpay_error_map code=4xx      provider_error;
        idpay_error_map code=**       credential_rejected;
CONF
    exact => <<'CONF',
        idpay_error_map status=404 conflict;
        idpay_error_map status=4xx not_found;
        idpay_error_map status=503 provider_error;
CONF
    except => "        idpay_error_map status=4xx not_found;\n",
    named  => <<'CONF',
        idpay_error_map status=4xx not_found;
        idpay_error_map status=401 conflict;
CONF
    every => <<'CONF',
        idpay_error_fields code=X-Code;
        idpay_error_map code=* request_failed;
CONF
    status => <<'CONF',
        idpay_error_fields code=/code status=/code status=/error/status
                           result=/data result=/items/0;
        idpay_error_map code=422 conflict;
        idpay_error_map status=404 permission_denied;
CONF
);

my @codes = qw(invalid_request validation_failed request_failed
    permission_denied consent_required not_found conflict rate_limited
    credential_rejected credential_unavailable provider_error
    provider_unavailable provider_timeout);
$upstream{codes} = join '', "        idpay_error_fields code=/code;\n",
    map {"        idpay_error_map code=$_ $_;\n"} @codes;

my $upstreams = join "\n", map { <<"CONF" } sort keys %upstream;
    upstream $_ {
        server          %%SIM_gate%%;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:$key;
$upstream{$_}
        %%UNLIMITED%%
    }
CONF
my $locations = join "\n",
    map {"        location /$_/ { idpay_pass $_/; }"} sort keys %upstream;

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

$upstreams

    # presets whose own tables say something else
    upstream plaid {
        server          %%SIM_gate%%;
        idpay_provider  plaid;
        idpay_tls       off;
        idpay_host      plaid.test;
        idpay_secret    client_id file:%%SECRET_plaid_client_id%%;
        idpay_secret    secret file:%%SECRET_plaid_secret%%;
        idpay_error_fields message=/own_message request_id=X-Own;
        idpay_error_map code=INVALID_API_KEYS permission_denied;
        idpay_error_map code=RATE_LIMIT* provider_unavailable;
        idpay_error_map type=INVALID_REQUEST validation_failed;
        idpay_error_map status=400 conflict;
        %%UNLIMITED%%
    }
    upstream plusid {
        server          %%SIM_gate%%;
        idpay_provider  plusid;
        idpay_tls       off;
        idpay_host      plusid.test;
        idpay_secret    api_key file:%%SECRET_plusid_api_key%%;
        idpay_error_fields code=/own/code;
        %%UNLIMITED%%
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;

$locations

        location /plaid/  { idpay_pass plaid/identity_verification/; }
        location /plusid/ { idpay_pass plusid/; }
    }
}
CONF
$t->run;


# The answer to a call through $upstream to an error of that status.
sub call {
    my ($upstream, $status, $body, @headers) = @_;

    $sim->behave->misbehave(status => $status, body => $body,
        headers => [ [ 'Content-Type', 'application/json' ], @headers ]);
    return $t->get("/$upstream/get");
}


# To one that may not be made twice.
sub unsafe {
    my ($upstream, $status, $body) = @_;

    $sim->behave->misbehave(status => $status, body => $body,
        headers => [ [ 'Content-Type', 'application/json' ] ]);
    return $t->post("/$upstream/post", 'a=b');
}


sub is_problem {
    my ($r, $name, %expected) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $problem = $r->json;
    my $ok = is_deeply { map { $_ => $problem->{$_} } keys %expected },
        \%expected, $name;
    diag($r->raw) if !$ok;
    return $ok;
}


my %nothing = map { $_ => undef }
    qw(provider_code provider_type provider_request_id errors);

subtest 'sources' => sub {
    my @all = (
        [ 'X-Error-Code', 'header' ],
        [ 'x-text',       'not this' ],
        [ 'x-request-id', 'id' ],
    );

    for (
        [ 'the first', { error => { code => 'a' }, code => 'b' }, [],
            provider_code => 'a' ],
        [ 'the second', { error => 'x', code => 'b' }, \@all,
            provider_code => 'b', provider_request_id => 'id' ],
        [ 'a header', { error => { code => {} }, code => '' }, \@all,
            provider_code => 'header' ],
        [ 'an empty header', { errors => [ { code => 'c' } ] },
            [ [ 'X-Error-Code', '' ] ], provider_code => 'c' ],
        [ 'one more that is empty', {},
            [ [ 'X-Error-Code', '' ], [ 'X-Error-Code', '2' ] ],
            provider_code => '2' ],
        [ 'the last', { errors => [ { code => 'c' } ] }, [],
            provider_code => 'c' ],
        [ 'none', { errors => { 0 => 1 }, Code => 'b' }, [],
            provider_code => undef ],
        [ 'another directive', { kind => 'k', text => 't' }, [],
            provider_type => 'k', detail => 't' ],
        [ 'an underscore', { 'a/b' => { 'm~n' => 't' } },
            [ [ 'X_Text', 'u' ] ], detail => 'u' ],
        [ 'a slash, a tilde', { 'a/b' => { 'm~n' => 't' } }, [],
            detail => 't' ],
        [ 'the empty name', { q{} => 't' }, [], detail => 't' ],
        [ 'an ID in the body', { trace => 7 }, [],
            provider_request_id => '7' ],
        [ 'errors', { errors => [ { name => 'n', code => 'c', text => 't' },
                    { in => ['i'], code => 'c' } ] },
            [], errors => [ { field => 'n', code => 'c', detail => 't' },
                { field => 'i', code => 'c', detail => 'c' } ] ],
        [ 'errors elsewhere', { error => { fields => [ { name => 'n' } ] } },
            [], errors => [ { field => 'n' } ] ],
        [ 'errors elsewhere, where there are none',
            { errors => [], error => { fields => [ { name => 'n' } ] } },
            [], errors => [ { field => 'n' } ] ],
        [ 'a text of no use', { text => 't' }, [], %nothing, detail => 't' ],
        )
    {
        my ($name, $data, $headers, %expected) = @$_;
        is_problem(call('fields', 400, encode_json($data), @$headers), $name,
            code => 'invalid_request', %expected);
    }
    is_problem(call('fields', 400, 'no JSON', @all), 'headers alone',
        provider_code => 'header', provider_request_id => 'id');
    is_problem(call('fields', 400, 'x' x 100_000, @all),
        'of a body that is too long', provider_code => 'header');
    is_problem(call('none', 400, '{"code":"c","message":"m"}', @all),
        'without the directive', %nothing, code => 'invalid_request');
};


subtest 'rules' => sub {
    for (
        [ 'C',   'TYPE', 418, 'validation_failed' ],
        [ 'CX',  'TYPE', 418, 'consent_required' ],
        [ 'CC',  'TYPE', 418, 'consent_required' ],
        [ 'a b', 'TYPE', 500, 'not_found' ],
        [ 7,     'TYPE', 500, 'permission_denied' ],
        [ '7',   undef,  500, 'permission_denied' ],
        [ 'x*y', undef,  418, 'not_found' ],
        [ 'x*y', 'TYPE', 500, 'not_found' ],
        [ 'xzy', undef,  400, 'conflict' ],
        [ 'xzy', 'TYPE', 400, 'rate_limited' ],
        [ '4xx', undef,  400, 'provider_error' ],
        [ '4',   undef,  400, 'conflict' ],
        [ '*',   undef,  400, 'credential_rejected' ],
        [ '*a',  undef,  400, 'credential_rejected' ],
        [ 'c',   'TYPE', 418, 'rate_limited' ],
        [ '',    'TYPE', 418, 'rate_limited' ],
        [ undef, 'T',    418, 'rate_limited' ],
        [ undef, 'T2',   500, 'rate_limited' ],
        [ undef, 'type', 418, 'conflict' ],
        [ undef, undef,  418, 'conflict' ],
        [ undef, undef,  404, 'conflict' ],
        [ undef, undef,  500, 'provider_unavailable' ],
        [ undef, undef,  599, 'provider_unavailable' ],
        [ undef, undef,  401, 'credential_rejected' ],
        [ 'CX',  undef,  401, 'consent_required' ],
        [ undef, undef,  600, 'provider_error' ],
        )
    {
        my ($code, $type, $status, $expected) = @$_;

        my %body = (
            defined $code ? (code => $code) : (),
            defined $type ? (type => $type) : (),
        );
        is_problem(call('map', $status, encode_json(\%body)),
            join(' ', map { $_ // '-' } $code, $type, $status),
            code => $expected, provider_status => $status);
    }
    for ([ 404, 'conflict' ], [ 403, 'not_found' ], [ 499, 'not_found' ],
        [ 503, 'provider_error' ], [ 500, 'provider_error' ],
        [ 504, 'provider_error' ], [ 600, 'provider_error' ])
    {
        my ($status, $code) = @$_;
        is_problem(call('exact', $status, '{}'), "exact, a $status",
            code => $code);
    }

    # a 401 is about the gateway's credential, unless it is named
    is_problem(call($_->[0], $_->[1], '{}'), "4xx, $_->[0], a $_->[1]",
        code => $_->[2], status => $_->[3])
        for [ except => 401, credential_rejected => 502 ],
        [ named => 401, conflict => 409 ],
        map { my $status = $_; map { [ $_, $status, not_found => 404 ] }
            qw(except named) } 400, 402, 403, 499;
    $t->expect_log(qr/"except" refused the gateway's credential .* 401/);

    is_problem(call('every', 503, '', [ 'X-Code', 'x' ]), 'any code',
        code => 'request_failed', status => 402, provider_code => 'x');
    is_problem(call('every', 503, '', [ 'X-Code', '' ]), 'but one it must be',
        code => 'provider_unavailable', provider_code => undef);
};


# What belongs to a code comes with it.
my %what = (
    invalid_request        => [ 400, 'caller',     0 ],
    validation_failed      => [ 422, 'caller',     0 ],
    request_failed         => [ 402, 'caller',     0 ],
    permission_denied      => [ 403, 'credential', 0 ],
    consent_required       => [ 403, 'caller',     0 ],
    not_found              => [ 404, 'caller',     0 ],
    conflict               => [ 409, 'caller',     0 ],
    rate_limited           => [ 429, 'provider',   1 ],
    credential_rejected    => [ 502, 'credential', 0 ],
    credential_unavailable => [ 503, 'credential', 1 ],
    provider_error         => [ 502, 'provider',   1 ],
    provider_unavailable   => [ 503, 'provider',   1 ],
    provider_timeout       => [ 504, 'provider',   1 ],
);
for my $code (@codes) {
    my ($status, $fault, $retryable) = @{ $what{$code} };

    for my $theirs (418, 500) {
        my $r = call('codes', $theirs, qq({"code":"$code"}));
        is $r->status, $status, "$code of a $theirs: the status";
        is_problem($r, 'what belongs to it', code => $code, fault => $fault,
            retryable => $retryable ? Mojo::JSON->true : Mojo::JSON->false,
            status => $status, provider_status => $theirs,
            outcome => 'not_applied');

        # a failure of the provider's own may have come too late
        my $failed = $theirs >= 500 || $code =~ /^provider_/;
        is_problem(unsafe('codes', $theirs, qq({"code":"$code"})),
            'of a call that may not be made twice', code => $code,
            status => $status, provider_status => $theirs,
            outcome => $failed ? 'unknown' : 'not_applied');
    }
}


subtest 'a status in the body' => sub {
    for (
        [ '{"code":422}',                 'conflict' ],
        [ '{"error":{"status":404}}',     'permission_denied' ],
        [ '{"error":{"status":"503"}}',   'provider_unavailable' ],
        [ '{"code":404,"data":null}',     'permission_denied' ],
        [ '{"code":404,"items":[]}',      'permission_denied' ],
        [ '{"code":404,"data":"d"}' ],
        [ '{"code":404,"items":["i"]}' ],
        [ '{"code":200,"error":{"status":404}}' ],
        [ '{"code":"x","error":{"status":404}}' ],
        )
    {
        my ($body, $code) = @$_;
        my $r = call('status', 200, $body);

        if ($code) {
            is_problem($r, $body, code => $code, provider_status => 200);
        } else {
            is $r->body, $body, "$body passes";
        }
    }
    is_problem(call('status', 404, '{"code":422}'),
        'the status of HTTP is an error: it counts', code => 'conflict');
    is_problem(call('status', 404, '{"code":500}'),
        'by rules for it, too', code => 'permission_denied');
    is_problem(unsafe('status', 200, qq({"code":$_->[0]})),
        "a $_->[0] to a call that may not be made twice",
        outcome => $_->[1], provider_status => 200)
        for [ 422, 'not_applied' ], [ 500, 'unknown' ];
    is call('codes', 200, '{"code":422}')->body, '{"code":422}',
        'without a source it passes';
};


subtest 'presets' => sub {
    my $plaid = sub {
        my ($status, $code, $type, %more) = @_;
        return call('plaid', $status, encode_json({ %more,
            error_code => $code, error_type => $type }));
    };

    is_problem($plaid->(400, 'INVALID_API_KEYS', 'INVALID_INPUT'),
        'a code of the preset means something else',
        code => 'permission_denied', provider_code => 'INVALID_API_KEYS');
    is_problem($plaid->(400, 'UNAUTHORIZED_ENVIRONMENT', 'INVALID_INPUT'),
        'another one does not', code => 'credential_rejected');
    is_problem($plaid->(429, 'RATE_LIMIT', 'RATE_LIMIT_EXCEEDED'),
        'a code before a type of the preset', code => 'provider_unavailable');
    is_problem($plaid->(429, 'ADDITION_LIMIT', 'RATE_LIMIT_EXCEEDED'),
        'a type of the preset', code => 'rate_limited');
    is_problem($plaid->(400, 'X', 'INVALID_REQUEST'),
        'a type means something else', code => 'validation_failed');
    is_problem($plaid->(400, 'NOT_FOUND', 'INVALID_REQUEST'),
        'a code of the preset before that type', code => 'not_found');
    is_problem($plaid->(400, 'X', 'USER_ERROR'),
        'a type of the preset before a status', code => 'invalid_request');
    is_problem($plaid->(400, 'X', 'X'), 'a status', code => 'conflict');
    is_problem($plaid->(418, 'X', 'X'), 'no rule', code => 'invalid_request');

    is_problem($plaid->(400, 'X', 'X', error_message => 'e'),
        'the message of the preset', detail => 'e');
    is_problem($plaid->(400, 'X', 'X', error_message => 'e',
        own_message => 'o'), 'one before it', detail => 'o');
    is_problem(call('plaid', 400, '{"request_id":"r"}', [ 'X-Own', 'o' ]),
        'an ID before that of the preset', provider_request_id => 'o');
    is_problem(call('plaid', 400, '{"request_id":"r"}'),
        'that of the preset', provider_request_id => 'r');

    is_problem(call('plusid', 400, '{"own":{"code":"o"},"code":"c"}'),
        'a code before those of the preset', provider_code => 'o');
    is_problem(call('plusid', 400, '{"own":{"code":{}},"error":{"code":"c"}}'),
        'one of the preset', provider_code => 'c');
};

done_testing;
