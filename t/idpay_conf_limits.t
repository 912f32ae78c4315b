#!/usr/bin/env perl

# The directives for limits, retries and time where they are right, and the
# zone, which outlives a reload.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/conf";
use ConfCases qw(passed provider);
use Test::Idpay;
use Test::More;

my $t    = Test::Idpay->new;
my $conf = ConfCases->new($t);

my %secret = (
    plusid         => ['idpay_secret api_key file:%%SECRET_key%%;'],
    plasmapay      => ['idpay_secret api_key file:%%SECRET_key%%;'],
    generic        => [
        'idpay_auth bearer;', 'idpay_secret token file:%%SECRET_key%%;'
    ],
    plaid          => [
        'idpay_secret client_id file:%%SECRET_key%%;',
        'idpay_secret secret file:%%SECRET_key%%;'
    ],
    passportreader => [
        'idpay_secret public_key file:%%SECRET_public%%;',
        'idpay_secret secret file:%%SECRET_secret%%;'
    ],
);

$t->secret('public', 'public-key-');
$t->secret('secret', 'secret-');


sub preset {
    my ($preset) = @_;

    return ('server 127.0.0.1:9;', "idpay_provider $preset;", 'idpay_tls off;',
        @{ $secret{$preset} });
}


# Everything, with every preset: what a block says replaces what its preset
# says, or stands beside it.

my @directives = (
    (map { "idpay_rate $_;" } '1r/s', '1000000r/s', '1r/m', '1000000r/m',
        '20r/s burst=40', '20r/s burst=0 wait=0', '20r/s wait=1h burst=100000',
        '20r/s wait=1m30s', '20r/s path=/', '20r/s path=/v1/ method=POST',
        '20r/s dry_run', '20r/s dry_run path=/v1', 'off',
        '20r/s path=/identity_verification/create',
        (map { "20r/s method=$_" } qw(GET HEAD POST PUT DELETE PATCH OPTIONS))),
    'idpay_rate 5r/s; idpay_rate 5r/s path=/a; idpay_rate 5r/s path=/b;'
        . 'idpay_rate 5r/s path=/a method=GET; idpay_rate 5r/s method=GET;',
    join(' ', map { "idpay_rate 5r/s path=/$_;" } 1 .. 62),
    (map { "idpay_adaptive $_;" } qw(on off)),
    (map { "idpay_retry $_;" } 'off', 'tries=1', 'tries=100', 'base=1ms',
        'base=1h', 'factor=1', 'factor=100', 'factor=1.5', 'factor=1.125',
        'max=1ms', 'max=1h', 'jitter=full', 'jitter=none', 'budget=0%',
        'budget=100%', 'budget=20% jitter=full max=30s factor=2 base=500ms '
            . 'tries=4'),
    (map { "idpay_breaker $_;" } 'off', 'failures=1', 'failures=64',
        'window=1ms', 'window=1h', 'open=1ms', 'open=1h',
        'open=30s window=10s failures=5'),
    (map { "idpay_timeout $_;" } qw(1ms 1h 60s 60 1m30s)),
    (map { "idpay_replay_safe $_;" } '/', '/a', '/a*', '/*', 'POST /a',
        'POST /a/*', 'GET /', '/identity_verification/get',
        (map { "$_ /a" } qw(HEAD PUT DELETE PATCH OPTIONS))),
    'idpay_replay_safe /a; idpay_replay_safe /b*; idpay_replay_safe /a;',
);

$conf->accepted('a plain provider, plusid', passed(preset('plusid')));
$conf->accepted($_, passed(preset('plusid'), $_)) for @directives;

for my $preset (sort keys %secret) {
    $conf->accepted("a plain provider, $preset", passed(preset($preset)));
    $conf->accepted("everything at once, $preset",
        passed(preset($preset), 'idpay_rate 5r/s burst=5 dry_run;',
            'idpay_rate 5r/s path=/session;', 'idpay_adaptive off;',
            'idpay_retry tries=2;', 'idpay_breaker failures=3;',
            'idpay_timeout 10s;', 'idpay_replay_safe POST /a*;'));
    $conf->accepted("everything off, $preset",
        passed(preset($preset), 'idpay_rate off;', 'idpay_adaptive off;',
            'idpay_retry off;', 'idpay_breaker off;'));
}

for (
    [ 'a location',   '',                 'idpay_timeout 5s;' ],
    [ 'both',         'idpay_timeout 9s;', 'idpay_timeout 5s;' ],
    [ 'one of a nested location', '',     'location /a { idpay_timeout 5s; '
            . 'location /a/b { idpay_pass p; } if ($arg_a) { } } ' ],
    )
{
    my ($name, $upstream, $location) = @$_;

    $conf->accepted(
        "idpay_timeout of $name",
        provider(preset('plusid'), $upstream)
            . "server { location / { idpay_pass p; $location } }"
    );
}


# idpay_zone

for my $size (8 * qx(getconf PAGESIZE) / 1024 . 'k', '64k', '4m', '4M',
    '1048576')
{
    $conf->accepted("idpay_zone $size",
        "idpay_zone $size;\n" . passed(preset('plusid')));
}
$conf->accepted('idpay_zone behind all providers',
    passed(preset('plusid')) . 'idpay_zone 8m;');
$conf->accepted('idpay_zone without a provider', 'idpay_zone 64k;');
$conf->accepted('the name of the zone is free without a provider',
    'limit_req_zone $uri zone=idpay:64k rate=1r/s;');

# A reload changes the zone under way: other sizes, other providers, none.

my $sim = $t->sim('generic', tls => 0);


sub config {
    my ($zone, @more) = @_;

    my $more = join '', map {
        my $name = $_;
        provider(preset('plusid')) =~ s/upstream p/upstream $name/r
    } @more;

    $t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    $zone
    $more
    upstream served {
        server %%SIM_generic%%;
        idpay_provider generic;
        idpay_tls off;
        idpay_auth bearer;
        idpay_secret token file:%%SECRET_key%%;
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass served; }
    }
}
CONF
    return;
}


sub serves {
    my ($name, @config) = @_;

    config(@config);
    $t->reload;
    is $t->get('/')->status, 200, "$name: served";
    return;
}


config('');
$t->run;
is $t->get('/')->status, 200, 'the default: served';

serves('the same',         '');
serves('a larger one',     'idpay_zone 8m;');
serves('a smaller one',    'idpay_zone 1m;');
serves('more providers',   'idpay_zone 1m;', map { "p$_" } 1 .. 9);
serves('less of them',     'idpay_zone 1m;', 'p5');
serves('others, and less', 'idpay_zone 512k;', 'p5', 'x');

config('idpay_zone 256k;', map { "p$_" } 1 .. 41);
my $small = qr/\[emerg\] .*idpay: zone "idpay" is too small for 42 /
    . 'providers, enlarge "idpay_zone"';

my ($code, $output) = $t->nginx_t;
is $code, 1, 'too small a zone: refused';
like $output, qr/$small/, 'too small a zone: nginx -t says why';

my $before = length $t->error_log;
ok !$t->try_reload, 'too small a zone: not taken';
like substr($t->error_log, $before), qr/$small/,
    'too small a zone: the log says why';
is $t->get('/')->status, 200, 'too small a zone: still served';

serves('again', 'idpay_zone 512k;');
unlike $t->error_log, qr/another layout/, 'nothing began anew';

done_testing;
