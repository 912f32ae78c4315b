#!/usr/bin/env perl

# What comes through of a provider that allows so many calls in any second,
# and how many attempts it has to refuse for that, when many callers want more
# than it gives. A report in Markdown on stdout.
#
# The provider is a simulator, and each caller makes one call after the other.
# What an administrator can do with nginx alone is proxy_next_upstream: another
# attempt at once where the provider says 429, once for each "server" line.
#
# BENCH_LOAD_SECONDS  length of a run (30)
# BENCH_CALLERS       callers at a time (200)
# BENCH_LIMIT         what the provider allows in a second (50)
# BENCH_NGINX, BENCH_MODULE   as for run.pl

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../lib";
use Bench;
use List::Util qw(sum0);
use Test::Idpay;
use Test::Idpay::Load qw(begin_load);
use Time::HiRes qw(sleep time);

my $seconds = $ENV{BENCH_LOAD_SECONDS} || 30;
my $callers = $ENV{BENCH_CALLERS}      || 200;
my $limit   = $ENV{BENCH_LIMIT}        || 50;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'provider', tls => 0);
$sim->record(0);

my $idpay = <<'CONF';
        keepalive       64;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
CONF
my $pass = 'idpay_pass provider;';
my %ways = (

    # [directives of the upstream, of the location]
    told => [
        "        server %%SIM_provider%%;\n$idpay"
            . "        idpay_rate ${limit}r/s wait=30s;\n", $pass
    ],
    finds => [ "        server %%SIM_provider%%;\n$idpay", $pass ],
    plain => [
        "        server %%SIM_provider%% max_fails=0;\n" x 4
            . "        keepalive 64;\n",
        'proxy_pass http://provider; proxy_http_version 1.1; '
            . 'proxy_set_header Connection ""; '
            . 'proxy_set_header X-Key ' . $t->secret_value('key') . '; '
            . 'proxy_next_upstream error timeout http_429 non_idempotent;'
    ],
);


sub serve {
    my ($way, $workers) = @_;

    my ($upstream, $location) = @{ $ways{$way} };

    $t->quit;
    $t->config(<<"CONF", workers => $workers);
%%GLOBALS%%
events { worker_connections 4096; }
http {
    %%HTTP%%
    access_log off;
    keepalive_requests 1000000;

    upstream provider {
$upstream
    }
    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        location / { $location }
    }
}
CONF
    $t->run;
    return;
}


# A row: what the provider has counted shortly before the time is over, and
# what the callers were told up to their last answer.
sub measure {
    my ($way, $workers, %refusal) = @_;

    serve($way, $workers);
    $sim->limit(rate => $limit, %refusal);

    my $since = time;
    my $load  = begin_load($t, callers => $callers, seconds => $seconds);
    sleep $seconds - 1;
    my $count = $sim->limited;
    my $took  = time - $since;
    my $r     = $load->result;
    print STDERR '.';

    my $attempts = $count->{accepted} + $count->{refused};
    my $answers  = sum0(values %{ $r->{status} }) || 1;
    return (
        percent($count->{accepted} / $limit / $took),
        percent($count->{refused} / ($attempts || 1)),
        $attempts,
        percent(1 - ($r->{status}{200} // 0) / $answers),
        sum0(values %{ $r->{errors} }),
        sprintf '%.0f', $r->{p50} // 0
    );
}


my @names = (
    'delivered', '429 among attempts', 'attempts', 'calls that failed',
    'without an answer', 'p50, ms'
);

my @found = map {
    my ($way, $name) = @$_;
    map { [ $name, $_ ? 'yes' : 'no',
            measure($way, 1, $_ ? (retry_after => 1) : ()) ] } 1, 0
} [ 'finds', 'idpay, default' ], [ 'plain', 'proxy_next_upstream' ];

my @told = map { [ $_, measure('told', $_) ] } 1, 2, 4;

print STDERR "\n";
head('Limits',
    machine() . ", a provider on the same machine that allows $limit calls in "
        . 'any second.',
    "$callers callers for $seconds s; each calls again as soon as it is "
        . 'answered, whatever the answer.',
    'Delivered: calls that the provider accepted, of so many a second; a '
        . 'little more where',
    'the first ones all come at once.');
print "\n## A limit that nobody has told the gateway, one worker\n";
table([ 'way', 'Retry-After', @names ], @found);
print "\n## A limit that it was told: idpay_rate ${limit}r/s\n";
table([ 'workers', @names ], @told);
