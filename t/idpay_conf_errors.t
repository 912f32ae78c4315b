#!/usr/bin/env perl

# What nginx -t refuses of "idpay_errors", "idpay_error_fields" and
# "idpay_error_map".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/conf";
use ConfCases qw(passed provider);
use Test::Idpay;
use Test::More;

my $t    = Test::Idpay->new;
my $conf = ConfCases->new($t);

my @generic = (
    'server 127.0.0.1:9;',
    'idpay_provider generic;',
    'idpay_host p.test;',
    'idpay_tls off;',
    'idpay_auth bearer;',
    'idpay_secret token file:%%SECRET_token%%;'
);


# Each is [ arguments, the one that is wrong, what to use ]; the last argument
# where that is not told.

sub invalid {
    my ($directive, @cases) = @_;

    for (@cases) {
        my ($args, $arg, $use) = @$_;
        $arg =~ s/"//g;

        $conf->refused(
            "$directive $args",
            passed(@generic, "$directive $args; # here"),
            qq{idpay: invalid parameter "$arg" in "$directive", use $use }
                . 'in here'
        );
    }
    return;
}


# idpay_error_fields

my $members = 'one of: code=, type=, message=, request_id=, status=, '
    . 'result=, errors=, field=, field_code=, field_message=';
my $pointer = 'a JSON Pointer such as "/error/code"';
my $header  = "$pointer, or the name of a header";
my %hint    = (status => qq($pointer, or "off"));

my @of_body = qw(status result errors field field_code field_message);
my @of_both = qw(code type message request_id);

# no pointer has these in it, and no header either
my @bad = ('', '/~', '/a~', '/a/~2', '/a~b', '/~/a', '/~01/~~0');

invalid(
    'idpay_error_fields',
    (map { [ qq{"$_"}, $_, $members ] } '', 'code', 'Code=/code', '=/code',
        'codes=/a', 'code:/code', ' code=/code', '/code', 'on', 'off',
        'status', 'field-code=/a', 'errors', 'retry_after=/a', 'detail=/a'),
);

for my $bad (@bad, ' /a', 'a b', 'a/b', 'X-A,X-B', 'a:', "\xc3\xa9", '#/a') {
    invalid('idpay_error_fields',
        map { [ qq{"$_=$bad"}, "$_=$bad", $header ] } qw(code request_id));
}
for my $bad (@bad, 'code', 'X-Code', 'a/b', 'Off', 'on', ' off') {
    invalid('idpay_error_fields',
        map { [ qq{"$_=$bad"}, "$_=$bad", $hint{$_} // $pointer ] }
            'status', 'field_code');
}
invalid('idpay_error_fields',
    (map { [ "$_=off", "$_=off", $pointer ] } grep { $_ ne 'status' } @of_body),
    (map { [ "$_=X-Code", "$_=X-Code", $hint{$_} // $pointer ] } @of_body),
    (map { [ "$_=/~2", "$_=/~2", $header ] } @of_both),
    [ 'code=/code type=/type message', 'message', $members ],
    [ 'code=/code type=a/b message=/m', 'type=a/b', $header ],
);


# idpay_error_map

my $codes = 'one of: invalid_request, validation_failed, request_failed, '
    . 'permission_denied, consent_required, not_found, conflict, '
    . 'rate_limited, credential_rejected, credential_unavailable, '
    . 'provider_error, provider_unavailable, provider_timeout';
my $status = 'a status from 400 to 599, "4xx" or "5xx"';

invalid(
    'idpay_error_map',
    (map { [ qq{"$_" not_found}, $_, 'one of: code=, type=, status=' ] } '',
        'x', 'code', 'code=', 'type=', 'status=', 'Code=x', 'message=x', '404',
        'field=x', 'http=404', '*', ' code=x'),
    (map { [ qq{"status=$_" not_found}, "status=$_", $status ] } '200', '299',
        '399', '600', '999', '0', '4', '40', '4040', '0404', '4x', '4xxx',
        '3xx', '2xx', '6xx', 'xx', '4XX', '40x', '4*', '*', '404*', '-404',
        '404.0', ' 404', '404 ', '4e2', 'x', '0x194',
        '99999999999999999999404'),
    (map { [ qq{code=x "$_"}, $_, $codes ] } '', 'x', 'NOT_FOUND', 'not-found',
        'not_found ', 'not_foun', 'not_founds', 'request_rejected',
        'gateway_error', '404', 'off', 'urn:idpay:problem:not_found',
        'passed'),
);

for (
    [ 'code=x',      'code=x' ],
    [ 'type=x*',     '"type=x*"' ],
    [ 'status=404',  'status=404' ],
    [ 'status=4xx',  'status=4xx' ],
    [ 'code=a b',    '"code=a b"' ],
    )
{
    my ($rule, $written) = @$_;

    for my $code (qw(not_found conflict)) {
        $conf->refused(
            "idpay_error_map $rule twice, $code",
            passed(@generic, "idpay_error_map $written not_found;",
                'idpay_error_map code=other not_found;',
                "idpay_error_map $written $code; # here"),
            qq{idpay: duplicate "$rule" in "idpay_error_map" in here}
        );
    }
}


# both

for (
    [ 'idpay_error_fields', 'code=/code' ],
    [ 'idpay_error_map',    'code=x not_found' ],
    )
{
    my ($directive, $args) = @$_;

    $conf->refused(
        "$directive before idpay_provider",
        "upstream p { server 127.0.0.1:9;\n$directive $args; # here\n}",
        qq{idpay: "$directive" stands before "idpay_provider", which must be }
            . 'the first idpay_ directive of an upstream in here'
    );
    for (
        [ 'http',     "$directive $args; # here\n" ],
        [ 'server',   "server {\n$directive $args; # here\n}" ],
        [ 'location', "server { location / {\n$directive $args; # here\n} }" ],
        )
    {
        my ($where, $text) = @$_;
        $conf->refused("$directive of $where", $text,
            qq{"$directive" directive is not allowed here in here});
    }
    $conf->refused(
        "$directive of nothing",
        passed(@generic, "$directive; # here"),
        qq{invalid number of arguments in "$directive" directive in here}
    );
}
for my $args ('code=x', 'code=x not_found conflict') {
    $conf->refused(
        "idpay_error_map $args",
        passed(@generic, "idpay_error_map $args; # here"),
        'invalid number of arguments in "idpay_error_map" directive in here'
    );
}


# idpay_errors

for my $value ('yes', '', '1', 'ON ', 'passed') {
    $conf->refused(
        "idpay_errors '$value'",
        qq{idpay_errors "$value"; # here\n} . passed(@generic),
        qq{invalid value "$value" in "idpay_errors" directive, it must be }
            . '"on" or "off" in here'
    );
}
for my $args ('', ' on off') {
    $conf->refused(
        "idpay_errors$args",
        "idpay_errors$args; # here\n" . passed(@generic),
        'invalid number of arguments in "idpay_errors" directive in here'
    );
}
for my $in (
    "server { location / {\n%s idpay_pass p; } }\n",
    "server {\n%s location / { idpay_pass p; } }\n",
    "%s server { location / { idpay_pass p; } }\n",
    )
{
    my $twice = "idpay_errors off;\nidpay_errors off; # here\n";
    my $where = $in =~ /^server \{ loc/ ? 'a location'
        : $in =~ /^server/ ? 'a server' : 'http';

    $conf->refused("idpay_errors twice in $where",
        provider(@generic) . sprintf($in, $twice),
        '"idpay_errors" directive is duplicate in here');
}
$conf->refused(
    'idpay_errors of an upstream',
    passed(@generic, 'idpay_errors off; # here'),
    '"idpay_errors" directive is not allowed here in here'
);
$conf->refused(
    'idpay_errors of an if',
    provider(@generic) . "server { location / { idpay_pass p;\n"
        . "if (\$arg_a) {\nidpay_errors off; # here\n} } }",
    '"idpay_errors" directive is not allowed here in here'
);


# what is right

$conf->accepted('fields', passed(@generic, map {"idpay_error_fields $_;"}
        (map {"$_=/a $_=/b/0/-/c"} @of_both, @of_body),
        (map {"$_=X-Code $_=x_code $_=0"} @of_both),
        'code=/ "code=/a b/c" code=/~0/~1~0 code=/a code=/a',
        'status=off', 'status=off status=/code', "code=/\xc3\xa9",
        '"code=/\"" "message=/%41"'));
$conf->accepted('rules', passed(@generic, map {"idpay_error_map $_;"}
        'code=x not_found', 'type=x not_found', 'code=x* not_found',
        'code=* conflict', 'code=X not_found', '"code=a b" not_found',
        'code=404 not_found', 'code=4xx not_found', 'code=off conflict',
        'status=404 not_found', 'status=400 not_found',
        'status=599 not_found', 'status=4xx conflict', 'status=5xx conflict',
        "code=\xc3\xa9 conflict", 'code=code=x conflict'));
$conf->accepted('many of both', passed(@generic,
        (map {"idpay_error_map code=c$_ not_found;"} 1 .. 500),
        (map {"idpay_error_fields code=/c$_;"} 1 .. 500)));

for my $preset (
    [ plusid         => 'api_key' ],
    [ plasmapay      => 'api_key' ],
    [ plaid          => 'client_id', 'secret' ],
    [ passportreader => 'public_key', 'secret' ],
    )
{
    my ($name, @secrets) = @$preset;

    # one rule may stand in the preset too
    $conf->accepted($name, passed('server 127.0.0.1:9;',
            "idpay_provider $name;", 'idpay_host p.test;', 'idpay_tls off;',
            (map {"idpay_secret $_ file:%%SECRET_${name}_$_%%;"} @secrets),
            'idpay_error_fields code=/error_code status=off;',
            'idpay_error_map code=INVALID_API_KEYS not_found;'));
}
$conf->accepted('idpay_errors everywhere', "idpay_errors off;\n"
        . provider(@generic)
        . 'server { idpay_errors on; location / { idpay_errors off; '
        . 'idpay_pass p; location /a { idpay_errors on; idpay_pass p; } } }');

done_testing;
