# conf.example is a configuration that nginx takes: only what depends on the
# machine is replaced (paths, names that DNS would have to know).

use strict;
use warnings;

use FindBin;
use Test::Idpay;
use Test::More;

my $t = Test::Idpay->new;

open my $file, '<', "$FindBin::Bin/../conf.example" or die $!;
my $example = do { local $/; <$file> };
close $file;

like $example, qr/^load_module/m, 'the module is loaded';
like $example, qr/idpay_provider\s+$_;/, "the preset $_"
    for qw(plusid passportreader plasmapay plaid gopay generic);

my %prefix = (
    passportreader_public_key => 'public-key-',
    passportreader_secret     => 'secret-',
);

$example =~ s{^(?:load_module|worker_processes|error_log) .*\n}{}gm;
$example =~ s{^events \{.*?^\}\n}{}ms;
$example =~ s{^    access_log .*\n}{    %%HTTP%%\n}m;
$example =~ s{^ *server +\K[a-z.]+:443;}{127.0.0.1:443;}gm;
$example =~ s{/var/lib/nginx/idpay/}{%%TESTDIR%%/};
$example =~ s{listen 127.0.0.1:8080}{listen 127.0.0.1:%%PORT_8080%%};
$example =~ s{/run/secrets/(\w+)}{$t->secret($1, $prefix{$1} // '')}ge;

$t->config("%%GLOBALS%%\n%%EVENTS%%\n$example");

my ($code, $output) = $t->nginx_t;
is $code, 0, 'nginx -t';
unlike $output, qr/\[(?:emerg|alert|crit)\]/, 'no complaint' or diag $output;

# each warning is of an address in the place of a replaced name

is_deeply [ grep { /\[warn\]/ && !/is an address/ } split /\n/, $output ], [],
    'no other warning';

done_testing;
