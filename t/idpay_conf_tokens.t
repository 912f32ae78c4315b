#!/usr/bin/env perl

# What nginx -t says about "idpay_auth oauth2", "idpay_store" and
# "idpay_consent_url", and about the secrets of providers that give tokens.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/conf";
use ConfCases qw(passed);
use Test::Idpay;
use Test::More;

my $t    = Test::Idpay->new;
my $conf = ConfCases->new($t);

my $server = 'server 127.0.0.1:9;';
my $host   = 'idpay_host p.test;';
my $ca     = "idpay_trusted_certificate %%CA%%;\n";
my $id     = 'idpay_secret client_id file:%%SECRET_id%%;';
my $secret = 'idpay_secret client_secret file:%%SECRET_secret%%;';
my @own    = ($server, 'idpay_provider generic; # there', $host, $id, $secret);
my @gopay  = ($server, 'idpay_provider gopay; # there', $host, $id, $secret);
my $url    = 'token_url=/token';


# idpay_auth oauth2: parameters

my $no_url = 'is no URL, use "https://host/path", or "/path" at the '
    . q{provider's own servers};
my $unknown = 'is unknown, use "token_url", "scope", "client_auth" or "param"';
my $auth    = 'is unknown, use "basic" or "post"';
my $pair    = 'must be "param=NAME:VALUE"';

# [arguments, the one that is wrong, what is wrong]; the others are good.
for (
    (map { [ qq("$_"), $_, $no_url ] }
        'token_url=token', 'token_url=api.test/token', 'token_url=https://',
        'token_url=https:/api.test', 'token_url=ftp://api.test/token',
        'token_url=https:///token', 'token_url=https://:443/token',
        'token_url=//', 'token_url=//api.test/token',
        'token_url=https://api.test/a b', "token_url=https://api.test/\xc3\xa9",
        'token_url=https://api.test/#a', 'token_url=/a b', 'token_url=/a#b',
        "token_url=/\xc3\xa9", "token_url=/\x7f"),
    [ "$url token_url=/other", 'token_url=/other', 'is duplicate' ],
    [ "$url scope=a scope=b",  'scope=b',          'is duplicate' ],
    [ "$url client_auth=post client_auth=basic", 'client_auth=basic',
        'is duplicate' ],
    (map { [ "$url $_", $_, 'has no value' ] } qw(scope= client_auth= param=)),
    [ 'token_url=', 'token_url=', 'has no value' ],
    (map { [ "$url $_", $_, 'is no "NAME=VALUE"' ] }
        qw(scope token_url scope:all)),
    (map { [ "$url client_auth=$_", "client_auth=$_", $auth ] }
        qw(Basic POST none client_secret_post)),
    (map { [ "$url $_", $_, $pair ] } qw(param=a param=a=b param=:b)),
    (map { [ "$url $_", $_, $unknown ] }
        qw(url=/a Scope=a scopes=a params=a:b =a client_id=a audience=b)),
    )
{
    my ($arguments, $wrong, $reason) = @$_;

    $conf->refused(
        "idpay_auth oauth2 $arguments" =~ s/[^ -~]/?/gr,
        passed(@own, "idpay_auth oauth2 $arguments; # here"),
        qq{idpay: the parameter "$wrong" of "idpay_auth oauth2" $reason in here}
    );
}

for my $arguments ('', ' scope=all', ' client_auth=post param=a:b') {
    $conf->refused(
        "no token_url: oauth2$arguments",
        passed(@own, "idpay_auth oauth2$arguments; # here"),
        'idpay: "idpay_auth oauth2" has no "token_url=URL" in here'
    );
}
$conf->refused(
    'idpay_auth twice',
    passed(@own, "idpay_auth oauth2 $url;", 'idpay_auth bearer; # here'),
    '"idpay_auth" directive is duplicate in here'
);
$conf->refused(
    'idpay_auth of gopay',
    passed(@gopay, "idpay_auth oauth2 $url; # here"),
    'idpay: "idpay_auth" is for the preset "generic", "gopay" has a scheme of '
        . 'its own in here'
);
for my $scheme (qw(oauth OAuth2 oauth2:)) {
    $conf->refused_like(
        "idpay_auth $scheme",
        passed(@own, "idpay_auth $scheme; # here"),
        qr/^idpay: the scheme "$scheme" in "idpay_auth" is unknown, .* in here$/
    );
}

for my $arguments (
    $url, "token_url=/", "$url scope=a:b=c", '"scope=a b" ' . $url,
    "$url client_auth=basic", "client_auth=post $url",
    "$url param=a:b param=c:d:e=f \"param=a b:c d\" param=e:",
    'token_url=https://p.test', 'token_url=https://p.test/token?a=b',
    'token_url=https://127.0.0.1/token', 'token_url=https://[::1]:9/token',
    'token_url=http://127.0.0.1:9/token', 'token_url=http://[::1]/token',
    )
{
    $conf->accepted("idpay_auth oauth2 $arguments",
        $ca . passed(@own, "idpay_auth oauth2 $arguments;"));
}


# idpay_auth oauth2: where the token endpoint is

my $https  = 'must be "https", unless its host is a loopback address';
my $nobody = 'has no valid host';

for (
    (map { [ "http://$_/token", $_, $https ] }
        qw(192.0.2.1 192.0.2.1:80 [2001:db8::1] 0.0.0.0 localhost:9 p.test)),
    (map { [ "https://$_/token", $_, $nobody ] }
        'user@127.0.0.1', 'user:pass@127.0.0.1', '127.0.0.1:0',
        '127.0.0.1:99999', '127.0.0.1:a', '[::1'),
    )
{
    my ($at, $name, $reason) = @$_;

    $conf->refused(
        "token_url=$at",
        $ca . passed(@own, "idpay_auth oauth2 token_url=$at;"),
        qq{idpay: the token_url with host "$name" in upstream "p" $reason, }
            . 'in there'
    );
}
$conf->refused(
    'TLS to the token endpoint alone',
    passed(@own, 'idpay_tls off;',
        'idpay_auth oauth2 token_url=https://127.0.0.1/token;'),
    'idpay: the token_url with host "127.0.0.1" in upstream "p" needs '
        . '"idpay_trusted_certificate" where "idpay_tls" is off, in there'
);
$conf->accepted('the same with CAs, in http',
    $ca . passed(@own, 'idpay_tls off;',
        'idpay_auth oauth2 token_url=https://127.0.0.1/token;'));
$conf->accepted('the same with CAs, in the upstream',
    passed(@own, 'idpay_tls off;', 'idpay_trusted_certificate %%CA%%;',
        'idpay_auth oauth2 token_url=https://127.0.0.1/token;'));
$conf->accepted('no TLS at all',
    passed(@own, 'idpay_tls off;', "idpay_auth oauth2 $url;"));


# Secrets

for (
    [ 'generic', @own, "idpay_auth oauth2 $url;" ],
    [ 'gopay', @gopay ],
    )
{
    my ($name, @lines) = @$_;

    for my $missing (qw(client_id client_secret)) {
        $conf->refused(
            "$name: no $missing",
            $ca . passed(grep { !/idpay_secret $missing / } @lines),
            qq{idpay: no "idpay_secret $missing" in upstream "p", in there}
        );
    }
    for my $other (qw(api_key secret token user)) {
        $conf->refused(
            "$name: a secret $other",
            $ca . passed(@lines,
                "idpay_secret $other file:%%SECRET_id%%; # here"),
            qq{idpay: unknown secret "$other" in upstream "p", it has }
                . '"client_id" and "client_secret", in here'
        );
    }
    $conf->refused(
        "$name: a secret in the open",
        $ca . passed((grep { !/client_secret/ } @lines),
            'idpay_secret client_secret in-the-open-1; # here'),
        'idpay: the secret "client_secret" must not stand in the '
            . 'configuration, use "file:PATH" or "env:NAME" in here'
    );
}
$t->canary('in-the-open-1');


# idpay_consent_url

my $invalid = 'use "https://host/path" in here';

for my $wrong ('', 'consent', '/consent', 'https://', 'ftp://a.test/',
    'https://a.test/#b', 'https://a.test/ b', "https://a.test/\xc3\xa9",
    'javascript:alert(1)')
{
    $conf->refused(
        "idpay_consent_url '$wrong'" =~ s/[^ -~]/?/gr,
        passed(@gopay, qq{idpay_consent_url "$wrong"; # here}),
        qq{idpay: invalid URL "$wrong" in "idpay_consent_url", $invalid}
    );
}
for (
    [ plusid => 'idpay_provider plusid;' ],
    [ generic => 'idpay_provider generic;', "idpay_auth oauth2 $url;" ],
    [ generic => 'idpay_provider generic;' ],
    )
{
    my ($preset, @lines) = @$_;
    $conf->refused(
        "idpay_consent_url of $preset",
        passed($server, @lines, 'idpay_consent_url https://a.test/; # here'),
        'idpay: "idpay_consent_url" in a provider of preset '
            . qq{"$preset", which asks nobody for consent in here}
    );
}
$conf->refused(
    'idpay_consent_url first',
    passed($server, 'idpay_consent_url https://a.test/; # here', @gopay),
    'idpay: "idpay_consent_url" stands before "idpay_provider", which must be '
        . 'the first idpay_ directive of an upstream in here'
);
$conf->refused(
    'idpay_consent_url twice',
    passed(@gopay, 'idpay_consent_url https://a.test/;',
        'idpay_consent_url https://a.test/; # here'),
    '"idpay_consent_url" directive is duplicate in here'
);
for my $arguments ('', ' https://a.test/ https://b.test/') {
    $conf->refused(
        "idpay_consent_url$arguments",
        passed(@gopay, "idpay_consent_url$arguments; # here"),
        'invalid number of arguments in "idpay_consent_url" directive in here'
    );
}


# idpay_store

my $lost = 'idpay: the client tokens of "p" are lost when nginx ends, set '
    . '"idpay_store" to keep them, in there';
my $key  = 'key=file:%%SECRET_store%%';
my $path = 'idpay_store %%TESTDIR%%/idpay.db';

$conf->accepted('gopay without a store', $ca . passed(@gopay), $lost);
$conf->accepted('gopay with one', "$path $key;\n$ca" . passed(@gopay));
$conf->accepted('a store behind', $ca . passed(@gopay) . "$path $key;\n");
$conf->accepted('a relative path',
    "idpay_store idpay.db $key;\n$ca" . passed(@gopay));
$conf->accepted('two keys',
    "$path $key key=file:%%SECRET_former%%;\n$ca" . passed(@gopay));
$conf->accepted('a store that nobody needs', "$path $key;\n");
$conf->accepted('generic without a store',
    $ca . passed(@own, "idpay_auth oauth2 $url;"));
{
    local $ENV{IDPAY_TEST_KEY} = $t->canary('e' x 32);
    $conf->accepted('a key of the environment',
        "$path key=env:IDPAY_TEST_KEY;\n$ca" . passed(@gopay));
}
ok !-e $t->dir . '/idpay.db', 'a test makes no store';

for my $arguments ('', ' idpay.db', " idpay.db $key $key $key") {
    $conf->refused(
        "idpay_store$arguments" =~ s/%%//gr,
        "idpay_store$arguments; # here\n",
        'invalid number of arguments in "idpay_store" directive in here'
    );
}
$conf->refused('idpay_store twice', "$path $key;\n$path $key; # here\n",
    '"idpay_store" directive is duplicate in here');

my $hex = $t->canary('0123456789abcdef' x 4);
for my $open ("key=$hex", 'key=', "key=FILE:$hex", "key=$hex:file") {
    for my $keys ($open, "$key $open") {
        $conf->refused(
            "a key in the open: $keys",
            "$path $keys; # here\n",
            'idpay: the key of "idpay_store" must be "key=file:PATH" or '
                . '"key=env:NAME", it cannot stand in the configuration in here'
        );
    }
}
for my $wrong ('file:%%SECRET_store%%', 'Key=file:a', 'key', 'keys=file:a',
    $hex)
{
    $conf->refused(
        "a wrong parameter: $wrong" =~ s/%%//gr,
        "$path $wrong; # here\n",
        'idpay: invalid parameter of "idpay_store", use "key=file:PATH" or '
            . '"key=env:NAME" in here'
    );
    unlike $conf->output, qr/$hex/, 'it is not told';
}

my %file = (
    short   => [ 'k' x 31,  'is shorter than 32 characters, make one with '
        . '"openssl rand -hex 32"' ],
    empty   => [ '',        'is empty' ],
    newline => [ "\n",      'is empty' ],
    lines   => [ "a\nb\n",  'has more than one line, a secret is one line' ],
    control => [ "\x01" x 32, 'has a control character' ],
    long    => [ 'k' x 8193,  'is longer than 8192 bytes' ],
    none    => [ undef, 'cannot be opened (2: No such file or directory)' ],
);
for my $name (sort keys %file) {
    my ($content, $reason) = @{ $file{$name} };

    $t->write($name, $content) if defined $content;
    chmod 0600, $t->dir . "/$name";
    for my $keys ("key=file:$name", "$key key=file:%%TESTDIR%%/$name") {
        $conf->refused(
            "a key: $keys" =~ s/%%//gr,
            "$path $keys; # here\n",
            qq{idpay: the key "DIR/$name" of "idpay_store" $reason in here}
        );
    }
}
$conf->refused(
    'a key of a variable that is not set',
    "$path key=env:IDPAY_TEST_NOT_THERE; # here\n",
    'idpay: the key "IDPAY_TEST_NOT_THERE" of "idpay_store" is not set in the '
        . 'environment in here'
);
$t->write('open', 'k' x 32);
chmod 0644, $t->dir . '/open';
$conf->accepted(
    'a key that everybody can read',
    "$path key=file:open; # here\n",
    'idpay: the key "DIR/open" of "idpay_store" can be read by everybody, use '
        . 'mode 0600 in here'
);


# Where the store is

mkdir $t->dir . '/directory' or die "directory: $!";
$t->write('text', "no database\n" x 100);
$conf->refused_like('no directory for the store',
    "idpay_store none/idpay.db $key; # here\n",
    qr{"DIR/none/idpay\.db".* in here$});
$conf->refused_like('a directory as a store',
    "idpay_store directory $key; # here\n",
    qr{^idpay: store "DIR/directory" is not a regular file in here$});
$conf->refused_like('another file as a store',
    "idpay_store text $key; # here\n",
    qr{^idpay: store "DIR/text" .* in here$});
is $t->read('text'), "no database\n" x 100, 'it is left as it is';

# A store that is there, with another key.
$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    $path $key;
    server { listen 127.0.0.1:%%PORT_8080%%; }
}
CONF
$t->run;
$t->quit;
ok -s $t->dir . '/idpay.db', 'nginx makes a store';

$conf->accepted('the key of the store', "$path $key;\n$ca" . passed(@gopay));
$conf->accepted('its former key',
    "$path key=file:%%SECRET_new%% $key;\n$ca" . passed(@gopay));
$conf->refused_like(
    'another key',
    "$path key=file:%%SECRET_new%%; # here\n",
    qr{^idpay: store "DIR/idpay\.db" is sealed with another key: .* in here$}
);

done_testing;
