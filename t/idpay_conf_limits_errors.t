#!/usr/bin/env perl

# What nginx -t refuses of "idpay_rate", "idpay_adaptive", "idpay_retry",
# "idpay_timeout", "idpay_replay_safe", "idpay_breaker" and "idpay_zone".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/conf";
use ConfCases qw(passed provider);
use Test::Idpay;
use Test::More;

my $t    = Test::Idpay->new;
my $conf = ConfCases->new($t);

my @plusid = (
    'server 127.0.0.1:9;',
    'idpay_provider plusid;',
    'idpay_host p.test;',
    'idpay_tls off;',
    'idpay_secret api_key file:%%SECRET_key%%;'
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
            passed(@plusid, "$directive $args; # here"),
            qq{idpay: invalid parameter "$arg" in "$directive", use $use }
                . 'in here'
        );
    }
    return;
}


my $time   = 'a time from 1ms to 1h';
my $method = 'one of: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS';

my @bad_times = ('', '0', '0ms', '-1s', 's', '1x', '1h1ms', '61m', '1.5s',
    '99999999999999999999');
my @bad_methods = ('', 'get', 'Get', 'GE', 'GETS', 'TRACE', '*', '0');


# idpay_rate

my $rate = '"Nr/s" or "Nr/m" with a number from 1 to 1000000, or "off" alone';
my $path = 'the beginning of a path, with the first "/" and without "*"';

invalid(
    'idpay_rate',
    (map { [ $_, $_, $rate ] } '""', '5', '5r', 'r/s', '5r/h', '5R/s', '0r/s',
        '-1r/s', '0r/m', '1.5r/s', '1000001r/s', '1000001r/m', '5r/s5',
        '99999999999999999999r/s', 'on', 'Off', 'burst=5'),
    [ 'off burst=5', 'off', $rate ],
    [ 'off dry_run', 'off', $rate ],
    (map { [ "5r/s burst=$_", "burst=$_", 'a number from 0 to 100000' ] } '',
        'x', '-1', '1.5', '100001', '99999999999999999999'),
    (map { [ qq{5r/s "wait=$_"}, "wait=$_", 'a time from 0 to 1h' ] }
        grep { !/^0/ } @bad_times),
    (map { [ qq{5r/s "method=$_"}, "method=$_", $method ] } @bad_methods),
    (map { [ qq{5r/s "path=$_"}, "path=$_", $path ] } '', 'v1', ' /', '*',
        '/*', '/a*b'),
    (map { [ "5r/s $_", $_,
            'one of: burst=, wait=, method=, path=, dry_run' ] } 'burst',
        'dryrun', 'dry_run=1', 'nodelay', 'zone=p', 'Burst=5', '10r/s', 'off'),
);

for (
    [ 'off', '5r/s' ], [ '5r/s', 'off' ], [ 'off', 'off' ],
    [ 'off', '5r/s path=/a' ], [ '5r/s path=/a', 'off' ],
    )
{
    my ($first, $second) = @$_;

    $conf->refused(
        "idpay_rate $first, then $second",
        passed(@plusid, "idpay_rate $first;", "idpay_rate $second; # here"),
        'idpay: "idpay_rate off" stands beside another "idpay_rate", remove '
            . 'one of them in here'
    );
}
for (
    [ '5r/s', '6r/m' ],
    [ '5r/s', '6r/m dry_run' ],
    [ '5r/s path=/a burst=1', '6r/m path=/a' ],
    [ '5r/s method=GET', '6r/m wait=1s method=GET' ],
    [ '5r/s path=/a method=GET', '6r/m method=GET path=/a' ],
    )
{
    my ($first, $second) = @$_;

    $conf->refused(
        "idpay_rate $first, then $second",
        passed(@plusid, "idpay_rate $first;", 'idpay_rate 1r/s path=/other;',
            "idpay_rate $second; # here"),
        'idpay: duplicate "idpay_rate 6r/m", another one has the same method '
            . 'and path, remove one of them in here'
    );
}
$conf->refused(
    'one idpay_rate too many',
    passed(@plusid, (map { "idpay_rate 5r/s path=/$_;" } 1 .. 62),
        'idpay_rate 7r/s; # here'),
    'idpay: "idpay_rate 7r/s" is one too many, an upstream can have 62 of '
        . 'them in here'
);


# idpay_retry

invalid(
    'idpay_retry',
    (map { [ "tries=$_", "tries=$_", 'a number from 1 to 100' ] } '', '0',
        '101', '-1', 'x', '1.5'),
    (map { my $name = $_; map { [ qq{"$name=$_"}, "$name=$_", $time ] }
            @bad_times } qw(base max)),
    (map { [ "factor=$_", "factor=$_",
            'a number from 1 to 100, 3 decimals at most' ] } '', '0',
        '0.999', '100.001', '1.0001', '-2', 'x', '2x', '1.2.3'),
    (map { [ "jitter=$_", "jitter=$_", '"full" or "none"' ] } '', 'on', 'off',
        'Full', 'half'),
    (map { [ "budget=$_", "budget=$_", 'a percentage from 0% to 100%' ] } '',
        '20', '%', '-1%', '101%', '0.5%', 'x%'),
    (map { [ $_, $_ =~ s/.* //r, 'one of: tries=, base=, factor=, max=, '
            . 'jitter=, budget=, or "off" alone' ] } 'on', '4', 'tries',
        'Tries=4', 'tries=4 off', 'tries=4 base'),
    [ 'off tries=4', 'off', 'one of: tries=, base=, factor=, max=, jitter=, '
            . 'budget=, or "off" alone' ],
);


# idpay_breaker

invalid(
    'idpay_breaker',
    (map { [ "failures=$_", "failures=$_", 'a number from 1 to 64' ] } '', '0',
        '65', '-1', 'x'),
    (map { my $name = $_; map { [ qq{"$name=$_"}, "$name=$_", $time ] }
            @bad_times } qw(window open)),
    (map { [ $_, $_ =~ s/.* //r,
            'one of: failures=, window=, open=, or "off" alone' ] } 'on',
        '5', 'open', 'failures=5 off'),
);


# idpay_timeout

invalid('idpay_timeout', map { [ qq{"$_"}, $_, $time ] } @bad_times, 'off');

$conf->refused(
    'idpay_timeout of a location',
    provider(@plusid)
        . "server { location / { idpay_pass p; idpay_timeout 2h; # here\n} }",
    qq{idpay: invalid parameter "2h" in "idpay_timeout", use $time in here}
);
$conf->refused(
    'idpay_timeout twice in a location',
    provider(@plusid) . 'server { location / { idpay_pass p; '
        . "idpay_timeout 2s;\nidpay_timeout 3s; # here\n} }",
    '"idpay_timeout" directive is duplicate in here'
);
for my $where ('http', 'server') {
    my $timeout = "idpay_timeout 5s; # here\n";

    $conf->refused(
        "idpay_timeout of $where",
        $where eq 'http' ? $timeout : "server { $timeout }",
        '"idpay_timeout" directive is not allowed here in here'
    );
}


# idpay_replay_safe

my $rest = 'a path with the first "/", and "*" at its end only';

invalid(
    'idpay_replay_safe',
    (map { my $bad = $_; map { [ qq{$_"$bad"}, $bad, $rest ] } '', 'POST ' }
        '', 'v1', '*', '**', '/**', '/a*b', '/*/b', ' /a'),
    (map { [ qq{"$_" /a}, $_, $method ] } @bad_methods),
);


# the others

for my $value ('yes', '', '1') {
    $conf->refused(
        "idpay_adaptive '$value'",
        passed(@plusid, qq{idpay_adaptive "$value"; # here}),
        qq{invalid value "$value" in "idpay_adaptive" directive, it must be }
            . '"on" or "off" in here'
    );
}
for my $size ('', 'big', '4g', '-1', '0x10', '1.5m') {
    $conf->refused(
        "idpay_zone '$size'",
        qq{idpay_zone "$size"; # here\n} . passed(@plusid),
        qq{idpay: invalid zone size "$size" in "idpay_zone", use a size such }
            . 'as "4m" in here'
    );
}

my $least = 8 * qx(getconf PAGESIZE) / 1024;

for my $size ('0', '1', '4k', $least - 1 . 'k') {
    $conf->refused(
        "idpay_zone $size",
        "idpay_zone $size; # here\n" . passed(@plusid),
        qq{idpay: zone "$size" in "idpay_zone" is too small, use at least }
            . qq{"${least}k" in here}
    );
}
$conf->refused(
    'idpay_zone of an upstream',
    passed(@plusid, 'idpay_zone 4m; # here'),
    '"idpay_zone" directive is not allowed here in here'
);

for (
    [ 'idpay_adaptive',    'on',         'duplicate' ],
    [ 'idpay_retry',       'off',        'duplicate' ],
    [ 'idpay_retry',       'tries=2',    'duplicate' ],
    [ 'idpay_breaker',     'off',        'duplicate' ],
    [ 'idpay_breaker',     'failures=2', 'duplicate' ],
    [ 'idpay_timeout',     '5s',         'duplicate' ],
    [ 'idpay_rate',        '5r/s',       '' ],
    [ 'idpay_replay_safe', '/a',         '' ],
    )
{
    my ($directive, $arg, $duplicate) = @$_;

    $conf->refused(
        "$directive before idpay_provider",
        "upstream p { server 127.0.0.1:9;\n$directive $arg; # here\n}",
        qq{idpay: "$directive" stands before "idpay_provider", which must be }
            . 'the first idpay_ directive of an upstream in here'
    );
    $conf->refused(
        "$directive of a location",
        "server { location / {\n$directive $arg; # here\n} }",
        qq{"$directive" directive is not allowed here in here}
    ) if $directive ne 'idpay_timeout';
    $conf->refused(
        "$directive of nothing",
        passed(@plusid, "$directive; # here"),
        qq{invalid number of arguments in "$directive" directive in here}
    );
    $conf->refused(
        "$directive $arg twice",
        passed(@plusid, "$directive $arg;", "$directive $arg; # here"),
        qq{"$directive" directive is duplicate in here}
    ) if $duplicate;
}
$conf->refused(
    'idpay_zone twice',
    "idpay_zone 4m;\nidpay_zone 4m; # here\n",
    '"idpay_zone" directive is duplicate in here'
);


done_testing;
