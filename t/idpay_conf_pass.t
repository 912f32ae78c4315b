#!/usr/bin/env perl

# What nginx -t says about "idpay_pass" and "idpay_provider", and about
# directives that stand in a wrong place.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/conf";
use ConfCases qw(provider passed);
use Test::Idpay;
use Test::More;

my $t    = Test::Idpay->new;
my $conf = ConfCases->new($t);

my $server = 'server 127.0.0.1:9;';
my $plusid = join ' ', 'upstream p {', $server, 'idpay_provider plusid;',
    "idpay_secret api_key file:%%SECRET_key%%; idpay_host plusid.test; }\n";
my $ca = "idpay_trusted_certificate %%CA%%;\n";


# The preset.

$conf->refused(
    'unknown preset',
    provider($server, 'idpay_provider plusID; # here'),
    'idpay: unknown preset "plusID" in "idpay_provider", use one of: generic, '
        . 'gopay, passportreader, plaid, plasmapay, plusid in here'
);
$conf->refused(
    'no preset at all',
    provider($server, 'idpay_provider ""; # here'),
    'idpay: unknown preset "" in "idpay_provider", use one of: generic, '
        . 'gopay, passportreader, plaid, plasmapay, plusid in here'
);
$conf->refused(
    'duplicate preset',
    provider($server, 'idpay_provider plusid;',
        'idpay_provider plusid; # here'),
    '"idpay_provider" directive is duplicate in here'
);
$conf->refused(
    'two presets',
    provider($server, 'idpay_provider plusid plaid; # here'),
    'invalid number of arguments in "idpay_provider" directive in here'
);


# The provider. "nowhere.invalid" has no address: whoever asked DNS for it
# would say so.

for my $name (qw(nowhere.invalid p2 P_ p?x=1)) {
    $conf->refused(
        "unknown provider $name",
        "$ca$plusid server { location / {\n idpay_pass $name; # here\n} }",
        qq{idpay: unknown provider "$name" in "idpay_pass", no upstream of }
            . 'that name has "idpay_provider", in here'
    );
}
$conf->refused(
    'unknown provider with a URI',
    "server { location / {\n idpay_pass nowhere.invalid/v1/; # here\n} }",
    'idpay: unknown provider "nowhere.invalid" in "idpay_pass", no upstream '
        . 'of that name has "idpay_provider", in here'
);
$conf->refused(
    'an upstream that is no provider',
    "upstream p { $server }\n"
        . "server { location / {\n idpay_pass p; # here\n} }",
    'idpay: unknown provider "p" in "idpay_pass", no upstream of that '
        . 'name has "idpay_provider", in here'
);
$conf->refused(
    'the same, behind the location',
    "server { location / {\n idpay_pass p; # here\n} } upstream p { $server }",
    'idpay: unknown provider "p" in "idpay_pass", no upstream of that '
        . 'name has "idpay_provider", in here'
);
$conf->refused(
    'a host that "proxy_pass" made an upstream of',
    'server { location /a { proxy_pass http://127.0.0.1; }'
        . "location / {\n idpay_pass 127.0.0.1; # here\n} }",
    'idpay: unknown provider "127.0.0.1" in "idpay_pass", no upstream of that '
        . 'name has "idpay_provider", in here'
);

for my $name ('$host', '${host}/a', 'p$uri', 'p/$uri', 'p/a?$args') {
    $conf->refused(
        "variables: $name",
        "$plusid server { location / {\n idpay_pass $name; # here\n} }",
        qq{idpay: "idpay_pass $name" cannot have variables in here}
    );
}
for my $name ('http://p', 'https://p/', 'p:443', 'p:443/v1/') {
    $conf->refused(
        "a provider that is no name: $name",
        "$plusid server { location / {\n idpay_pass $name; # here\n} }",
        qq{idpay: invalid provider in "idpay_pass $name", use the name of an }
            . 'upstream, without scheme and port in here'
    );
}
for my $name ('', '/', '/v1/') {
    $conf->refused(
        "no provider: '$name'",
        "$plusid server { location / {\n idpay_pass '$name'; # here\n} }",
        qq{idpay: no provider in "idpay_pass $name" in here}
    );
}
for my $args ('', ' p p') {
    $conf->refused(
        "idpay_pass$args",
        "$plusid server { location / {\n idpay_pass$args; # here\n} }",
        'invalid number of arguments in "idpay_pass" directive in here'
    );
}


# The location.

$conf->refused(
    'duplicate',
    "$ca$plusid server { location / {\n"
        . "idpay_pass p;\n idpay_pass p; # here\n} }",
    '"idpay_pass" directive is duplicate in here'
);
for my $other ('proxy_pass http://127.0.0.1:9;', 'empty_gif;') {
    my ($directive) = split /\W/, $other;

    $conf->refused(
        "$directive before it",
        "$ca$plusid server { location / {\n $other\n idpay_pass p; # here\n} }",
        '"idpay_pass" directive conflicts with another content handler of '
            . 'the location in here'
    );
    $conf->refused(
        "$directive behind it",
        "$ca$plusid server { location / {\n idpay_pass p; # here\n $other\n} }",
        'idpay: "idpay_pass p" conflicts with another content handler of the '
            . 'location, in here'
    );
}
for (
    [ 'proxy_method',           'POST' ],
    [ 'proxy_set_body',         'x' ],
    [ 'proxy_ssl_conf_command VerifyCAFile', 'ca.pem' ],
    [ 'proxy_ssl_conf_command VerifyMode',   'Peer' ],
    )
{
    my ($directive, $value) = @$_;

    for my $http (
        "$plusid server { location / {\n $directive $value;\n"
            . " idpay_pass p; # here\n} }",
        "$directive $value; $plusid server { location / {\n"
            . " idpay_pass p; # here\n} }",
        )
    {
        $conf->refused(
            "$directive, $http", "$ca$http",
            qq{idpay: "$directive" cannot be used with "idpay_pass p", in here}
        );
    }
}
$conf->accepted(
    'commands of TLS that leave verification alone',
    "$ca$plusid server { location / { idpay_pass p;\n"
        . 'proxy_ssl_conf_command MinProtocol TLSv1.2;'
        . 'proxy_ssl_conf_command Options -SessionTicket; } }'
);
for my $location ('~ ^/a', '~* \.b$', '@named') {
    $conf->refused(
        "URI in location $location",
        "$plusid server { location $location {\n idpay_pass p/; # here\n} }",
        'idpay: "idpay_pass p/" has a URI, but a regular expression or a name '
            . 'gives the location no part for it to replace in here'
    );
    $conf->accepted(
        "no URI in location $location",
        "$ca$plusid server { location $location { idpay_pass p; } }"
    );
}


# The place. Each directive stands in all the blocks that it does not belong
# in, with arguments that would be good elsewhere.

my %good = (
    idpay_pass                => 'p',
    idpay_provider            => 'plusid',
    idpay_secret              => 'api_key file:%%SECRET_key%%',
    idpay_auth                => 'bearer',
    idpay_host                => 'plusid.test',
    idpay_tls                 => 'on',
    idpay_trusted_certificate => '%%CA%%',
);
my %block = (
    http         => "%s\n",
    server       => "server {\n %s\n}",
    location     => "server { location / {\n %s\n} }",
    upstream     => "upstream u {\n $server\n %s\n}",
    if           => "server { if (\$host) {\n %s\n} }",
    location_if  => "server { location / { if (\$host) {\n %s\n} } }",
    limit_except => "server { location / { limit_except GET {\n %s\n} } }",
);
my %belongs = (
    (map { $_ => { upstream => 1 } } keys %good),
    idpay_pass                => { location => 1 },
    idpay_trusted_certificate => { upstream => 1, http => 1 },
);

for my $name (sort keys %good) {
    for my $block (grep { !$belongs{$name}{$_} } sort keys %block) {
        $conf->refused(
            "$name in $block",
            $plusid . sprintf($block{$block}, "$name $good{$name}; # here"),
            qq{"$name" directive is not allowed here in here}
        );
    }
}


# What else a provider needs before it can be one.

for (
    [ 'idpay_secret', 'api_key file:%%SECRET_key%%' ],
    [ 'idpay_auth',   'bearer' ],
    [ 'idpay_host',   'plusid.test' ],
    [ 'idpay_tls',    'on' ],
    [ 'idpay_trusted_certificate', '%%CA%%' ],
    )
{
    my ($name, $args) = @$_;
    my $message = qq{idpay: "$name" stands before "idpay_provider", which must }
        . 'be the first idpay_ directive of an upstream in here';

    $conf->refused(
        "$name before idpay_provider",
        provider($server, "$name $args; # here", 'idpay_provider plusid;'),
        $message
    );
    $conf->refused(
        "$name without idpay_provider",
        provider($server, "$name $args; # here"),
        $message
    );
}
$conf->refused(
    'no server',
    "upstream p {\n idpay_provider plusid;\n"
        . "idpay_secret api_key file:%%SECRET_key%%;\n} # here",
    'no servers are inside upstream in here'
);


# A message names the file that is meant, not the one that includes it.

$t->write('part.conf', "\n\nupstream p { $server\n\n"
    . "idpay_provider plusid;\nidpay_secret wrong file:secret_key; }\n");
$conf->refused(
    'unknown secret in an included file',
    "include part.conf;\n",
    'idpay: unknown secret "wrong" in upstream "p", it has "api_key", '
        . 'in DIR/part.conf:6'
);
$t->write('part.conf', "\nupstream p { $server\n idpay_provider plusid; }\n");
$conf->refused(
    'no secret in an included file',
    "include part*.conf;\n",
    'idpay: no "idpay_secret api_key" in upstream "p", in DIR/part.conf:3'
);
$t->write('part.conf', "\nlocation / {\n\n idpay_pass gone; }\n");
$conf->refused(
    'unknown provider in an included file',
    "server { include part.conf; }\n",
    'idpay: unknown provider "gone" in "idpay_pass", no upstream of that name '
        . 'has "idpay_provider", in DIR/part.conf:4'
);


# And what is right, in the orders that are free.

$conf->accepted('the location before the upstream, the CA at the end',
    "server { location / { idpay_pass p; } }\n$plusid$ca");
$conf->accepted('"server" behind the other directives',
    $ca . passed('idpay_provider plusid;', 'idpay_host plusid.test;',
        'idpay_secret api_key file:%%SECRET_key%%;', 'keepalive 4;', $server));
$conf->accepted('a provider that nothing uses', "$ca$plusid");
$conf->accepted('one provider in many places',
    "$ca$plusid server { location / { idpay_pass p; location /a "
        . '{ idpay_pass P/v1/; } } location = /b { idpay_pass p/?x=1; } }');

done_testing;
