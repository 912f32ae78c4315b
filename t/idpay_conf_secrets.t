#!/usr/bin/env perl

# Secrets that are right, from files and from the environment: the provider
# gets them to the byte. Files that everybody may read are warned of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/conf";
use ConfCases qw(passed);
use Test::Idpay;
use Test::More;

my $t    = Test::Idpay->new;
my $conf = ConfCases->new($t);
my $sim  = $t->sim('generic', tls => 0);


# Warnings.

my @plusid
    = ('server 127.0.0.1:9;', 'idpay_provider plusid;', 'idpay_tls off;');
my $key  = $t->secret('key');
my $next = $t->secret('next');

for my $mode (0400, 0440, 0600, 0640, 0660, 0710) {
    chmod $mode, $key or die "$key: $!";
    $conf->accepted(
        sprintf('no warning for %04o', $mode),
        passed(@plusid, "idpay_secret api_key file:$key;")
    );
}
for my $mode (0644, 0604, 0444, 0777) {
    chmod $mode, $key or die "$key: $!";
    $conf->accepted(
        sprintf('a warning for %04o', $mode),
        passed(@plusid, "idpay_secret api_key file:$key; # here"),
        'idpay: the secret "api_key": file "DIR/secret_key" is readable by '
            . 'everybody, "chmod o-rwx" closes it in here'
    );
}
chmod 0600, $key  or die "$key: $!";
chmod 0644, $next or die "$next: $!";
$conf->accepted(
    'a warning for the next one',
    passed(@plusid, "idpay_secret api_key file:$key file:$next; # here"),
    'idpay: the secret "api_key": file "DIR/secret_next" is readable by '
        . 'everybody, "chmod o-rwx" closes it in here'
);
symlink $key, $t->dir . '/link' or die "link: $!";
$conf->accepted('no warning for a link to a closed file',
    passed(@plusid, 'idpay_secret api_key file:link;'));


# Relative paths begin where the configuration lies, which is not always the
# prefix, and never the directory that nginx was started in.

mkdir $t->dir . '/etc' or die "etc: $!";

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    upstream p {
        @plusid
        idpay_secret api_key file:relative;
    }
}
CONF
$t->write('etc/nginx.conf', $t->read('nginx.conf'));

my $nginx_t = sub {
    my $dir = $t->dir;
    my @command = (Test::Idpay::binary(), '-t', '-p', "$dir/",
        '-c', "$dir/etc/nginx.conf", '-e', 'stderr');
    my $output = qx{@command 2>&1};
    return $? >> 8, $output;
};

$t->write('relative', 'relative-value-1');
my ($code, $output) = $nginx_t->();
is $code, 1, 'not relative to the prefix';
my $sought = $t->dir . '/etc/relative';
like $output, qr/file "\Q$sought\E" cannot be opened/, 'what was looked for';

rename $t->dir . '/relative', $sought or die "$sought: $!";
($code, $output) = $nginx_t->();
is $code, 0, "relative to the configuration's directory" or diag $output;


# Values.

my %value = (
    plain   => 'plain-value-1',
    newline => 'newline-value-1',
    longest => 'v' x 8192,
    single  => 'x',
    colons  => 'file:env:value',
    linked  => 'linked-value-1',
    env     => 'env-value-1',
    env_max => 'w' x 8192,
);

mkdir $t->dir . '/keys' or die "keys: $!";

my %source = (
    plain   => 'file:' . $t->secret('plain', value => $value{plain}),
    newline => 'file:secret_newline',
    longest => 'file:secret_longest',
    single  => 'file:keys/../secret_single',
    colons  => 'file:./secret_colons',
    linked  => 'file:keys/link',
    env     => 'env:IDPAY_TEST_PLAIN',
    env_max => 'env:IDPAY_TEST_LONGEST',
);
$t->secret('newline', value => "$value{newline}\n");
$t->secret('longest', value => "$value{longest}\n");
$t->secret($_, value => $value{$_}) for qw(single colons linked);
symlink '../secret_linked', $t->dir . '/keys/link' or die "link: $!";

local $ENV{IDPAY_TEST_PLAIN}   = $t->canary($value{env});
local $ENV{IDPAY_TEST_LONGEST} = $t->canary($value{env_max});

my $providers = join '', map {
    "upstream $_ { server %%SIM_generic%%; idpay_provider generic; "
        . 'idpay_tls off; idpay_auth header X-Key; '
        . "idpay_secret key $source{$_}; }\n"
} sort keys %source;
my $locations = join '', map {"location /$_ { idpay_pass $_; }\n"}
    sort keys %source;

# as much as two slots of a pair can hold
my $longest = <<'CONF';
    upstream basic {
        server %%SIM_generic%%;
        idpay_provider generic;
        idpay_tls off;
        idpay_auth basic;
        idpay_secret user file:secret_longest file:secret_longest;
        idpay_secret password file:secret_longest file:secret_longest;
    }
CONF

my $text = <<"CONF";
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    $providers
    $longest
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        $locations
        location /basic { idpay_pass basic; }
    }
}
CONF


sub keys_seen {
    my $uri = shift;

    $sim->clear;
    my $r = $t->get($uri);
    diag("$uri: ", $r->status, ' ', $r->body) if $r->status != 200;
    return [ map { $sim->header($_, 'X-Key') } @{ $sim->requests } ];
}


for my $master (qw(on off)) {
    $t->config($text, master_process => $master);
    $t->run;

    is_deeply keys_seen("/$_"), [ $value{$_} ], "$_, master_process $master"
        for sort keys %source;
    is $t->get('/basic')->status, 200, 'the longest pair';

    ok $t->quit, "master_process $master: it quits";
}

done_testing;
