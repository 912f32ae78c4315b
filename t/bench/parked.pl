#!/usr/bin/env perl

# What a call costs that waits: the memory of a worker that many are parked in,
# and how long it is away for others when all of them hang up at once. A report
# in Markdown on stdout.
#
# BENCH_PARKED   calls at a time (10000), as far as "ulimit -n" permits
# BENCH_NGINX, BENCH_MODULE   as for run.pl

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../lib";
use Bench;
use List::Util qw(min);
use POSIX      qw(_SC_OPEN_MAX sysconf);
use Test::Idpay;
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Time::HiRes qw(time);

# Descriptors for other things than calls.
use constant OTHERS => 200;

my $calls = $ENV{BENCH_PARKED} || 10_000;
my $room  = sysconf(_SC_OPEN_MAX) - OTHERS;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'provider', tls => 0);
$sim->record(0);


sub serve {
    my $connections = 2 * $calls + OTHERS;

    $t->quit;
    $t->config(<<"CONF");
%%GLOBALS%%
events { worker_connections $connections; }
http {
    %%HTTP%%
    access_log off;
    keepalive_timeout 1h;
    limit_req_zone \$server_port zone=delayed:32k rate=1r/m;

    upstream turn {
        server          %%SIM_provider%%;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_rate      1000000r/s wait=1h;
        idpay_timeout   1h;
        idpay_retry     off;
    }
    upstream again {
        server          %%SIM_provider%%;
        keepalive       64;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_adaptive  off;
        idpay_timeout   1h;
        idpay_retry     tries=2 budget=100%;
    }
    server {
        listen 127.0.0.1:%%PORT_8080%% backlog=16384;

        location /turn/   { idpay_pass turn; }
        location /again/  { idpay_pass again; }
        location /delayed { limit_req zone=delayed burst=1000000; }
        location = /other { return 204; }
        location = /stat  { stub_status; }
    }
}
CONF
    $t->run;
    return;
}


sub rss {
    my $pid = shift;

    open my $fh, '<', "/proc/$pid/status" or die "worker $pid: $!";
    my ($kb) = map {/^VmRSS:\s+(\d+)/} <$fh>;
    return $kb;
}


# They wait when they have been read, and been to the provider where they begin
# there. Returns how many do: the budget of retries may leave some out.
sub wait_for {
    my ($socket, $n, $attempts) = @_;

    return wait_until(60, sub {
        my $r = $t->get('/stat', socket => $socket);
        my ($waiting) = $r->body =~ /Writing: (\d+)/ or die "no /stat\n";
        return $waiting > 0.95 * $n
            && (!$attempts || $sim->limited->{refused} >= $n)
            && $waiting - 1;
    }) || die "the calls do not come in\n";
}


# A row. The budget of retries has room for so many as come in a few seconds.
# The worker is stopped while the calls are hung up, finds them all when
# it goes on, and then the request of another caller behind them.
sub measure {
    my ($name, $uri, $attempts) = @_;

    my $n = min($calls, $room, $attempts ? 2000 : ());
    serve();
    my ($worker) = $t->worker_pids;

    # What is there before: a connection for other requests, and of each kind
    # the call that the others wait for.
    $sim->limit(rate => 1, window => 'bucket', retry_after => 600);
    my $other = $t->get('/other')->socket;
    $t->get($_) for '/delayed', '/turn/', '/turn/';

    my $idle    = rss($worker);
    my @sockets = park($t, $n, uri => $uri);
    $n = wait_for($other, $n, $attempts);
    my $each = (rss($worker) - $idle) / $n;

    kill STOP => $worker;
    close $_ for @sockets;
    $t->get('/other', socket => $other, no_read => 1);
    my $since = time;
    kill CONT => $worker;
    $t->read_response($other, 'GET', timeout => 60)->status == 204
        or die "the worker does not answer\n";
    my $took = time - $since;

    print STDERR '.';
    return [
        $name, $n,
        sprintf('%.1f', $each),
        sprintf('%.0f', $took * 1000),
        sprintf '%.1f', $took * 1e6 / $n
    ];
}


my @rows = (
    measure('idpay, for its turn',       '/turn/',   0),
    measure('idpay, to be made again',   '/again/',  1),
    measure('limit_req, for comparison', '/delayed', 0),
);

print STDERR "\n";
head('Calls that wait',
    machine() . ', one worker.',
    $calls > $room
        ? "$calls calls were asked for, \"ulimit -n\" has no room for them."
        : (),
    'Memory: what the worker has grown by, for each call.',
    'Away: how long another request waits when all of them hang up at once.');
table([ 'calls that wait', 'calls', 'memory, KB', 'away, ms', 'us for each' ],
    @rows);
