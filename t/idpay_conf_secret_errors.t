#!/usr/bin/env perl

# What nginx -t says about "idpay_secret": its names, its sources, its values.
# No message tells the value.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/conf";
use ConfCases qw(passed);
use Test::Idpay;
use Test::More;

my $t    = Test::Idpay->new;
my $conf = ConfCases->new($t);

my $n = 0;


# The path of a new file with that value, under the test's directory.
sub file {
    my $value = shift;
    return $t->secret('file' . $n++, value => $value);
}


sub base { return $_[0] =~ s{.*/}{}r }


# A provider with that preset (and scheme) and these "NAME SOURCE"; the first
# that has "here" in its comment is what the message names.
sub with {
    my ($preset, @secrets) = @_;

    my ($name, $auth) = split / /, $preset, 2;
    return passed(
        'server 127.0.0.1:9;',
        "idpay_provider $name; # there",
        'idpay_host p.test;',
        $auth ? "idpay_auth $auth;" : (),
        (map {/#/ ? "idpay_secret $_" : "idpay_secret $_;"} @secrets)
    );
}


# Names. Every preset and every scheme, with the names that it has.

my %names = (
    plusid                  => ['api_key'],
    passportreader          => [qw(public_key secret)],
    plasmapay               => ['api_key'],
    plaid                   => [qw(client_id secret)],
    'generic bearer'        => ['token'],
    'generic basic'         => [qw(user password)],
    'generic header X-Key'  => ['key'],
    'generic query key'     => ['key'],
);
my $good = 'file:' . file('plain-value');
my %value = (
    'passportreader public_key' => 'file:' . file('public-key-1'),
    'passportreader secret'     => 'file:' . file('secret-1'),
);

for my $preset (sort keys %names) {
    my @names = @{ $names{$preset} };
    my %line  = map { $_ => "$_ " . ($value{"$preset $_"} // $good) } @names;
    my @lines = @line{@names};
    my $list  = join ' and ', map {qq{"$_"}} @names;

    $conf->accepted("$preset: its secrets",
        'idpay_trusted_certificate %%CA%%; ' . with($preset, @lines));
    $conf->accepted("$preset: in any order",
        'idpay_trusted_certificate %%CA%%; ' . with($preset, reverse @lines));

    for my $other (qw(wrong Secret api_key), '') {
        next if grep { $other eq $_ } @names;
        $conf->refused(
            "$preset: unknown name '$other'",
            with($preset, @lines, "'$other' $good; # here"),
            qq{idpay: unknown secret "$other" in upstream "p", }
                . "it has $list, in here"
        );
    }
    for my $missing (@names) {
        $conf->refused(
            "$preset: no $missing",
            with($preset, map { $line{$_} } grep { $_ ne $missing } @names),
            qq{idpay: no "idpay_secret $missing" in upstream "p", in there}
        );
        $conf->refused(
            "$preset: $missing twice",
            with($preset, @lines, "$line{$missing}; # here"),
            qq{idpay: duplicate secret "$missing" in here}
        );
    }
}
for my $args ('', ' api_key', " api_key $good $good $good") {
    $conf->refused(
        "idpay_secret$args",
        passed('idpay_provider plusid;', "idpay_secret$args; # here"),
        'invalid number of arguments in "idpay_secret" directive in here'
    );
}


# Sources. What is no source may be a secret, so it is not told.

for my $text ('sk_live_0123456789', 'FILE:/etc/hostname', 'http://a/b',
    'file', 'env', 'env_SECRETIVE', '/etc/secret_path')
{
    $t->canary($text);

    for my $sources ($text, "$good $text") {
        $conf->refused(
            "no source: $sources",
            with('plusid', "api_key $sources; # here"),
            'idpay: the secret "api_key" must not stand in the configuration, '
                . 'use "file:PATH" or "env:NAME" in here'
        );
        unlike $conf->output, qr/\Q$text\E/, 'it is not told'
            if $text !~ /^(?:file|env)$/;
    }
}
for (
    [ 'file:', 'file "DIR/" is not a regular file' ],
    [ 'env:', 'variable "" is not set in the environment' ],
    )
{
    my ($text, $reason) = @$_;

    $conf->refused(
        "nothing: $text",
        with('plusid', "api_key $text; # here"),
        qq{idpay: the secret "api_key": $reason in here}
    );
}


# Values, of files and of the environment, as the first and as the next one.

my $gone = $t->dir . '/gone';
mkdir $t->dir . '/directory' or die "directory: $!";

my @bad_files = (
    [ 'gone', 'cannot be opened (2: No such file or directory)' ],
    [ 'gone/deeper', 'cannot be opened (2: No such file or directory)' ],
    [ 'directory', 'is not a regular file' ],
);
if ($> != 0) {
    my $closed = file('closed-value');
    chmod 0, $closed;
    push @bad_files,
        [ base($closed), 'cannot be opened (13: Permission denied)' ];
}

my @lines = 'has more than one line, a secret is one line';
my $control = 'has a control character';
my $long    = 'is longer than 8192 bytes';

my @bad_values = (
    [ 'empty',              '',                   'is empty' ],
    [ 'two lines',          "first-1\nsecond-2",  @lines ],
    [ 'two with newlines',  "first-1\nsecond-2\n", @lines ],
    [ 'an empty line more', "value-1\n\n",        @lines ],
    [ 'a newline before',   "\nvalue-1",          @lines ],
    [ '0x01',               "value\x01one",       $control ],
    [ '0x1f at the end',    "value-1\x1f",        $control ],
    [ '0x7f',               "\x7fvalue-1",        $control ],
    [ 'tab',                "value\tone",         $control ],
    [ 'CR',                 "value-1\r",          $control ],
    [ '8193 bytes',         'v' x 8193,           $long ],
    [ '20000 bytes',        'v' x 20000,          $long ],
);
my @bad_file_values = (
    [ 'one newline',  "\n",            'is empty' ],
    [ 'two newlines', "\n\n",          @lines ],
    [ 'CR and LF',    "value-1\r\n",   $control ],
    [ 'NUL',          "value\0one",    $control ],
    [ '8193 bytes and a newline', 'v' x 8193 . "\n", $long ],
    [ '8192 bytes and two newlines', 'v' x 8192 . "\n\n", $long ],
);

for (@bad_values, @bad_file_values) {
    my ($name, $value, $reason) = @$_;
    push @bad_files, [ base(file($value)), $reason, $value, $name ];
}

for (@bad_files) {
    my ($file, $reason, $value, $name) = @$_;
    $name //= $file;

    # the reason of the system stands at the end, as it does in nginx
    for my $sources ("file:%%TESTDIR%%/$file", "$good file:$file") {
        $conf->refused(
            "file: $name" . ($sources =~ / / ? ', next and relative' : ''),
            with('plusid', "api_key $sources; # here"),
            qq{idpay: the secret "api_key": file "DIR/$file" $reason in here}
        );
        my ($told) = ($value // '') =~ /([[:print:]]{5,})/;
        unlike $conf->output, qr/\Q$told\E/, 'it is not told' if defined $told;
    }
}

for (@bad_values, [ 'a newline at the end', "value-1\n", @lines ],
    [ 'not set', undef, 'is not set in the environment' ])
{
    my ($name, $value, $reason) = @$_;

    delete local $ENV{IDPAY_TEST_SECRET};
    local $ENV{IDPAY_TEST_SECRET} = $value if defined $value;

    for my $sources ('env:IDPAY_TEST_SECRET', "$good env:IDPAY_TEST_SECRET") {
        $conf->refused(
            "variable: $name" . ($sources =~ / / ? ', next' : ''),
            with('plusid', "api_key $sources; # here"),
            'idpay: the secret "api_key": variable "IDPAY_TEST_SECRET" '
                . "$reason in here"
        );
        my ($told) = ($value // '') =~ /([[:print:]]{5,})/;
        unlike $conf->output, qr/\Q$told\E/, 'it is not told' if defined $told;
    }
}


# Values that cannot be of their kind.

my %of = (
    public   => $value{'passportreader public_key'},
    secret   => $value{'passportreader secret'},
    plain    => $good,
    prefix   => 'file:' . $t->write('prefix', 'public-key-'),
    prefix_s => 'file:' . $t->write('prefix_s', 'secret-'),
    case     => 'file:' . file('Secret-abcdef'),
    colon    => 'file:' . file('some:user'),
    first    => 'file:' . file(':someone'),
);
my $public  = 'must be "public-key-" and more';
my $private = 'must be "secret-" and more';
my $for_secret = qq{$public, is it swapped with "secret"?};
my $for_public = qq{$private, is it swapped with "public_key"?};
my $colon   = 'has a colon, which Basic authentication does not allow in a '
    . 'user name';

for (
    [ 'swapped keys', 'passportreader', 'public_key', $for_secret,
        "public_key $of{secret}; # here", "secret $of{public}" ],
    [ 'swapped keys, the other first', 'passportreader', 'secret', $for_public,
        "secret $of{public}; # here", "public_key $of{secret}" ],
    [ 'public key twice', 'passportreader', 'secret', $for_public,
        "public_key $of{public}", "secret $of{public}; # here" ],
    [ 'secret twice', 'passportreader', 'public_key', $for_secret,
        "public_key $of{secret}; # here", "secret $of{secret}" ],
    [ 'public key without prefix', 'passportreader', 'public_key', $public,
        "public_key $of{plain}; # here", "secret $of{secret}" ],
    [ 'secret without prefix', 'passportreader', 'secret', $private,
        "public_key $of{public}", "secret $of{plain}; # here" ],
    [ 'secret in another case', 'passportreader', 'secret', $private,
        "public_key $of{public}", "secret $of{case}; # here" ],
    [ 'a prefix alone', 'passportreader', 'public_key', $public,
        "public_key $of{prefix}; # here", "secret $of{secret}" ],
    [ 'the other prefix alone', 'passportreader', 'secret', $private,
        "public_key $of{public}", "secret $of{prefix_s}; # here" ],
    [ 'colon in a user', 'generic basic', 'user', $colon,
        "user $of{colon}; # here", "password $good" ],
    [ 'colon before a user', 'generic basic', 'user', $colon,
        "password $good", "user $of{first}; # here" ],
    )
{
    my ($name, $preset, $secret, $reason, @secrets) = @$_;

    $conf->refused($name, with($preset, @secrets),
        qq{idpay: the secret "$secret" in upstream "p" $reason, in here});

    # the same as the value that overlaps, beside a good one
    my @next = map {s{^(\w+) }{"$1 " . ($value{"$preset $1"} // $good) . ' '}er}
        @secrets;
    $conf->refused("$name, next", with($preset, @next),
        qq{idpay: the next secret "$secret" in upstream "p" $reason, in here});
}

$conf->accepted('a colon in a password and in a token is fine',
    'idpay_trusted_certificate %%CA%%; '
        . with('generic basic', "user $good", "password $of{colon}"));

done_testing;
