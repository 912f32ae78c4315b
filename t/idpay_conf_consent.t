#!/usr/bin/env perl

# What nginx -t says about "idpay_consent_start", "idpay_consent_callback" and
# "idpay_consents".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/conf";
use ConfCases;
use Test::Idpay;
use Test::More;

my $t    = Test::Idpay->new;
my $conf = ConfCases->new($t);

my $server = 'server 127.0.0.1:9;';
my $gopay  = join ' ', "idpay_trusted_certificate %%CA%%;\n",
    "idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store%%;\n",
    'upstream g {', $server, 'idpay_provider gopay;',
    'idpay_secret client_id file:%%SECRET_id%%;',
    "idpay_secret client_secret file:%%SECRET_secret%%; idpay_host g.test; }\n";
my $plusid = join ' ', 'upstream p {', $server, 'idpay_provider plusid;',
    "idpay_secret api_key file:%%SECRET_key%%; idpay_host plusid.test; }\n";
my $oauth2 = join ' ', 'upstream o {', $server, 'idpay_provider generic;',
    "idpay_auth oauth2 token_url=/token; idpay_host o.test;",
    'idpay_secret client_id file:%%SECRET_id%%;',
    "idpay_secret client_secret file:%%SECRET_secret%%; }\n";

my %parameter = (
    idpay_consent_start    => 'redirect_uri=',
    idpay_consent_callback => 'return=',
    idpay_consents         => undef,
);


# $directive stands on the line that a message names.
sub at {
    my ($directive, @more) = @_;
    return join "\n", "$gopay$plusid$oauth2 server { location /x/ {",
        "$directive # here", @more, '} }';
}


for my $name (sort keys %parameter) {
    my $parameter = $parameter{$name};

    $conf->accepted("$name", at("$name g;"));
    $conf->accepted("$name of another spelling", at("$name G;"));
    $conf->accepted("$name before its upstream",
        "server { location /x/ { $name g; } }\n$gopay");

    # The provider.

    $conf->refused(
        "$name, unknown provider",
        at("$name nobody;"),
        qq{idpay: unknown provider "nobody" in "$name", no upstream of that }
            . 'name has "idpay_provider", in here'
    );
    $conf->refused(
        "$name, an upstream that is no provider",
        "upstream u { $server }\n" . at("$name u;"),
        qq{idpay: unknown provider "u" in "$name", no upstream of that name }
            . 'has "idpay_provider", in here'
    );
    for ([ p => 'plusid' ], [ o => 'generic' ]) {
        my ($upstream, $preset) = @$_;
        $conf->refused(
            "$name, a $preset that asks nobody",
            at("$name $upstream;"),
            qq{idpay: "$name $upstream" needs a provider that asks people for }
                . qq{consent, its preset "$preset" does not, use one of: }
                . 'gopay, in here'
        );
    }

    # Other content handlers.

    $conf->refused("$name twice",
        at("$name g;", "$name g; # there"),
        qq{"$name" directive is duplicate in there});
    $conf->refused(
        "$name behind proxy_pass",
        at('proxy_pass http://127.0.0.1:9;', "$name g; # there"),
        qq{"$name" directive conflicts with another content handler of the }
            . 'location in there'
    );
    $conf->refused(
        "$name before proxy_pass",
        at("$name g;", 'proxy_pass http://127.0.0.1:9;'),
        qq{idpay: "$name g" conflicts with another content handler of the }
            . 'location, in here'
    );
    $conf->refused(
        "$name behind idpay_pass",
        at('idpay_pass g;', "$name g; # there"),
        qq{"$name" directive conflicts with another content handler of the }
            . 'location in there'
    );
    $conf->refused_like("$name before idpay_pass",
        at("$name g;", 'idpay_pass g;'),
        qr/"idpay_pass" directive conflicts with another content handler/);
    my ($other) = grep { $_ ne $name } sort keys %parameter;
    $conf->refused(
        "$name behind $other",
        at("$other g;", "$name g; # there"),
        qq{"$name" directive conflicts with another content handler of the }
            . 'location in there'
    );

    # Arguments and places.

    $conf->refused("$name without a provider",
        at("$name;"),
        qq{invalid number of arguments in "$name" directive in here});
    $conf->refused("$name in server",
        "$gopay server {\n $name g; # here\n}",
        qq{"$name" directive is not allowed here in here});

    $conf->accepted("$name and limits of methods",
        at("$name g;", 'limit_except GET { deny all; }'));
    $conf->accepted("$name and if",
        at("$name g;", 'if ($arg_x) { add_header X-Y z; }'));

    if (!defined $parameter) {
        $conf->refused("$name with a parameter",
            at("$name g return=https://a.test/;"),
            qq{invalid number of arguments in "$name" directive in here});
        next;
    }

    for my $url ('https://a.test/done', 'http://127.0.0.1:1/x?y=1',
        'HTTPS://A.TEST')
    {
        $conf->accepted("$name $parameter$url", at("$name g $parameter$url;"));
    }
    for my $url ('', '/done', 'a.test', 'https://', 'ftp://a.test/',
        'https://a.test/#x', 'https://a.test/\xc3\xa4', 'javascript:x',
        'https:///done', 'https://?x', 'http://:80/')
    {
        ( my $text = $url ) =~ s/\\x(..)/chr hex $1/ge;
        $conf->refused(
            "$name $parameter$url",
            at(qq{$name g "$parameter$text";}),
            qq{idpay: invalid URL in the parameter "$parameter$text" of }
                . qq{"$name", use "${parameter}https://host/path" in here}
        );
    }
    $conf->refused(
        "$name with a variable",
        at("$name g ${parameter}https://\$host/;"),
        qq{idpay: the parameter "${parameter}https://\$host/" of "$name" }
            . 'cannot have variables in here'
    );
    for my $what ('to=https://a.test/', uc $parameter, 'x') {
        $conf->refused(
            "$name $what",
            at("$name g $what;"),
            qq{idpay: invalid parameter "$what" in "$name", use }
                . qq{"${parameter}URL" in here}
        );
    }
    $conf->refused("$name with too much",
        at("$name g ${parameter}https://a.test/ x;"),
        qq{invalid number of arguments in "$name" directive in here});
}


for my $location ('~ ^/x/', '~* \.x$') {
    $conf->refused(
        "idpay_consents in location $location",
        "$gopay server { location $location {\n idpay_consents g; # here\n} }",
        '"idpay_consents" directive cannot be in a location that a regular '
            . 'expression or a name gives, the consents are below the location '
            . 'in here'
    );
}
$conf->refused_like(
    'idpay_consents in a named location',
    "$gopay server { location \@x { idpay_consents g; } }",
    qr/"idpay_consents" directive cannot be in a location/
);
$conf->accepted('idpay_consents in an exact location',
    "$gopay server { location = /x { idpay_consents g; } }");
$conf->accepted('the others in locations of regular expressions',
    "$gopay server { location ~ ^/s { idpay_consent_start g; }\n"
        . 'location ~ ^/c { idpay_consent_callback g; } }');

done_testing;
