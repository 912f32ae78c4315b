#!/usr/bin/env perl

# What nginx -t says about "idpay_auth", "idpay_host", "idpay_tls" and
# "idpay_trusted_certificate".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/conf";
use ConfCases qw(passed provider);
use Test::Idpay;
use Test::More;

my $t    = Test::Idpay->new;
my $conf = ConfCases->new($t);

my $server  = 'server 127.0.0.1:9;';
my $host    = 'idpay_host p.test;';
my $ca      = "idpay_trusted_certificate %%CA%%;\n";
my @generic = ($server, 'idpay_provider generic; # there', $host);
my @plusid  = (
    'idpay_provider plusid; # there',
    'idpay_secret api_key file:%%SECRET_key%%;'
);


# idpay_auth

for my $preset (qw(plusid passportreader plasmapay plaid)) {
    $conf->refused(
        "idpay_auth of $preset",
        passed($server, "idpay_provider $preset;", 'idpay_auth bearer; # here'),
        qq{idpay: "idpay_auth" is for the preset "generic", "$preset" has a }
            . 'scheme of its own in here'
    );
}
$conf->refused(
    'generic without idpay_auth',
    passed(@generic, 'idpay_secret token file:%%SECRET_key%%;'),
    'idpay: no "idpay_auth" in upstream "p", the preset "generic" needs it, '
        . 'in there'
);
$conf->refused(
    'idpay_auth twice',
    passed(@generic, 'idpay_auth bearer;', 'idpay_auth bearer; # here'),
    '"idpay_auth" directive is duplicate in here'
);
$conf->refused(
    'idpay_auth of nothing',
    passed(@generic, 'idpay_auth; # here'),
    'invalid number of arguments in "idpay_auth" directive in here'
);

my $unknown = 'is unknown, use "bearer", "basic", "header NAME", '
    . '"query NAME" or "oauth2"';
my $bad_name = 'takes a name of letters, digits, "-", "_" and "." only';

for (
    (map { [ $_, $_, $unknown ] } qw(digest Bearer bearer: headers X-Key)),
    [ '""',            '',       $unknown ],
    [ 'bearer token',  'bearer', 'takes no arguments' ],
    [ 'bearer ""',     'bearer', 'takes no arguments' ],
    [ 'basic a b',     'basic',  'takes no arguments' ],
    [ 'header',        'header', 'takes exactly one name' ],
    [ 'header A B',    'header', 'takes exactly one name' ],
    [ 'query',         'query',  'takes exactly one name' ],
    [ 'query a b',     'query',  'takes exactly one name' ],
    (map { my $name = $_; map { [ qq{$_ "$name"}, $_, $bad_name ] }
            qw(header query) }
        '', 'X Key', 'X-Key:', 'key=', 'a&b', '$host', "X-Key\n", "k\xc3\xa9",
        '%6b'),
    (map { [ "header $_", 'header', 'names a header that HTTP itself needs' ] }
        qw(Host host Connection Content-Length CONTENT-LENGTH
        Transfer-Encoding TE Keep-Alive Expect Upgrade)),
    )
{
    my ($args, $scheme, $reason) = @$_;

    $conf->refused(
        "idpay_auth $args" =~ s/\n/\\n/r,
        passed(@generic, "idpay_auth $args; # here"),
        qq{idpay: the scheme "$scheme" in "idpay_auth" $reason in here}
    );
}
for my $args ('header X-Key_1.2', 'header Authorization', 'query Host',
    'query content-length', 'header Cookie')
{
    $conf->accepted(
        "idpay_auth $args",
        $ca . passed(@generic, "idpay_auth $args;",
            'idpay_secret key file:%%SECRET_key%%;')
    );
}


# idpay_host

for my $name ('https://p.test', 'p.test:443', 'p.test/v1', '[::1]', '',
    'p test', '$host', '*.test', 'user@p.test')
{
    $conf->refused(
        "idpay_host '$name'",
        passed($server, @plusid, qq{idpay_host "$name"; # here}),
        qq{idpay: invalid name "$name" in "idpay_host", use a host name }
            . 'without scheme and port in here'
    );
}
$conf->refused(
    'idpay_host twice',
    passed($server, @plusid, $host, 'idpay_host p.test; # here'),
    '"idpay_host" directive is duplicate in here'
);
for my $tls (qw(on off)) {
    $conf->refused(
        "no idpay_host for a unix socket, tls $tls",
        passed('server unix:%%TESTDIR%%/a.sock;', $server, @plusid,
            "idpay_tls $tls;"),
        'idpay: no "idpay_host" in upstream "p", whose first server is a unix '
            . 'socket, in there'
    );
}
$conf->accepted('a unix socket with idpay_host',
    $ca . passed('server unix:%%TESTDIR%%/a.sock;', @plusid, $host));
$conf->accepted('a unix socket that is not the first',
    passed('server localhost:9;', 'server unix:%%TESTDIR%%/a.sock;', @plusid,
        'idpay_tls off;'));
$conf->accepted('a name as the first server',
    $ca . passed('server localhost:9;', $server, @plusid));

for my $address ('127.0.0.1', '127.0.0.1:443', '192.0.2.1:443', '[::1]',
    '[::1]:443')
{
    $conf->accepted(
        "an address without idpay_host: $address",
        $ca . passed("server $address;", @plusid),
        'idpay: the first server of upstream "p" is an address, which no '
            . 'certificate can be verified against: set "idpay_host" to the '
            . q{provider's name, in there}
    );
    $conf->accepted("an address with idpay_host: $address",
        $ca . passed("server $address;", @plusid, $host));
}
$conf->accepted('an address without idpay_host nor TLS',
    passed($server, @plusid, 'idpay_tls off;'));


# idpay_tls

for my $value (qw(yes 1 ON_ required), '') {
    $conf->refused(
        "idpay_tls '$value'",
        passed($server, @plusid, qq{idpay_tls "$value"; # here}),
        qq{invalid value "$value" in "idpay_tls" directive, it must be "on" }
            . 'or "off" in here'
    );
}
$conf->refused(
    'idpay_tls twice',
    passed($server, @plusid, 'idpay_tls off;', 'idpay_tls off; # here'),
    '"idpay_tls" directive is duplicate in here'
);

my @far = ('192.0.2.1', '192.0.2.1:443', '128.0.0.1', '126.255.255.255',
    '[2001:db8::1]:443', '[::]', '0.0.0.0:80', '[::ffff:192.0.2.1]:80');

for my $far (@far) {
    for (
        [ '', "server $far;" ],
        [ ', behind a near one', $server, "server $far;" ],
        [ ', a backup', "$server server $far backup;" ],
        [ ', down', "server $far down;", $server ],
        [ ', "server" behind idpay_tls', $server, 'behind' ],
        )
    {
        my ($name, @servers) = @$_;
        my @behind = $servers[-1] eq 'behind' ? "server $far;" : ();
        pop @servers if @behind;

        $conf->refused(
            "idpay_tls off with $far$name",
            passed(@servers, @plusid, $host, 'idpay_tls off;', @behind),
            'idpay: "idpay_tls off" in upstream "p", whose server '
                . qq{"$far" is neither a loopback address nor a unix socket, }
                . 'in there'
        );
    }
}
for my $near ('127.0.0.1', '127.0.0.1:80', '127.8.8.8:80', '127.255.255.255',
    '[::1]', '[::1]:80', 'localhost', 'unix:%%TESTDIR%%/a.sock')
{
    $conf->accepted("idpay_tls off with $near",
        passed("server $near;", @plusid, $host, 'idpay_tls off;'));
}
$conf->accepted('idpay_tls off with all of them',
    passed('server 127.0.0.1;', 'server [::1]:80;', 'server 127.8.8.8 down;',
        'server unix:%%TESTDIR%%/a.sock backup;', @plusid, $host,
        'idpay_tls off;'));


# idpay_trusted_certificate: a file that cannot be one is an error wherever it
# stands, and whether a location uses the provider or not.

$t->write('no_cert.pem', "no certificate\n");
$t->write('empty.pem', '');
mkdir $t->dir . '/ca_dir' or die "ca_dir: $!";

my $good = join '', provider($server, @plusid, $host),
    "server { location / { idpay_pass p; } }\n";

for my $file (qw(gone.pem no_cert.pem empty.pem ca_dir)) {
    for (
        [ 'http', "idpay_trusted_certificate $file; # here\n$good" ],
        [ 'the end of http',
            "$good\nidpay_trusted_certificate $file; # here" ],
        [ 'upstream', passed($server, @plusid, $host,
            "idpay_trusted_certificate $file; # here") ],
        [ 'unused', provider($server, @plusid, $host,
            "idpay_trusted_certificate $file; # here") ],
        )
    {
        my ($where, $http) = @$_;
        $conf->refused_like(
            "idpay_trusted_certificate $file, $where", $http,
            qr{DIR/$file\b.*\bin here$}
        );
    }
}
$conf->refused_like(
    'idpay_trusted_certificate of no name',
    qq{idpay_trusted_certificate ""; # here\n$good},
    qr/"idpay_trusted_certificate".* in here$/
);
for my $block ('http', 'upstream') {
    my $twice = "idpay_trusted_certificate %%CA%%;\n"
        . 'idpay_trusted_certificate %%CA%%; # here';

    $conf->refused(
        "idpay_trusted_certificate twice, $block",
        $block eq 'http' ? $twice : passed($server, @plusid, $twice),
        '"idpay_trusted_certificate" directive is duplicate in here'
    );
}
$conf->refused(
    'idpay_trusted_certificate of nothing',
    'idpay_trusted_certificate; # here',
    'invalid number of arguments in "idpay_trusted_certificate" directive '
        . 'in here'
);
$t->ca;
$conf->accepted('idpay_trusted_certificate of a relative path',
    "idpay_trusted_certificate certs/ca.pem;\n$good");
$conf->accepted(
    'idpay_trusted_certificate of an upstream before that of http',
    passed($server, @plusid, $host, $ca)
        . 'idpay_trusted_certificate certs/ca.pem;'
);

done_testing;
