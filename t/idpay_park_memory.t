#!/usr/bin/env perl

# Calls that wait for their turn are cheap: many of them, parked in one worker
# by a Retry-After of the provider, take little memory, and go at once when
# their callers do. What is dear is compared with nginx's own limit_req, whose
# delayed requests wait and hang up likewise. IDPAY_PARK_CALLS is how many
# calls (1000), as far as "ulimit -n" permits.

use strict;
use warnings;

use List::Util qw(min);
use POSIX      qw(_SC_OPEN_MAX sysconf);
use Test::Idpay;
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

# KB for each; descriptors that are neither a caller's nor a worker's of one.
use constant { MOST_KB => 12, OTHERS => 100 };

my $calls = $ENV{IDPAY_PARK_CALLS} || 1000;
my $room  = sysconf(_SC_OPEN_MAX) - OTHERS;
if ($calls > $room) {
    diag "$room calls only: ulimit -n";
    $calls = $room;
}

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', limits => <<'CONF');
idpay_rate      1000000r/s wait=1h;
        idpay_timeout   1h;
        idpay_retry     off;
CONF

# Kept connections are let go where few are left.
my $connections = 2 * $calls + OTHERS;
$t->config(<<"CONF");
%%GLOBALS%%
events { worker_connections $connections; }
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;
    keepalive_timeout 1h;
    limit_req_zone \$server_port zone=delayed:32k rate=1r/m;

    %%UPSTREAM_gate%%

    server {
        listen 127.0.0.1:%%PORT_8080%% backlog=16384;

        location /          { idpay_pass gate; }
        location = /delayed { limit_req zone=delayed burst=1000000; }
        location = /other   { return 204; }
        location = /status  { stub_status; }
    }
}
CONF
$t->run;

my ($worker) = $t->worker_pids;

# Its connection is there before the others, and none is made later.
my $other = $t->get('/other')->socket;


sub other {
    return $t->http(GET => '/other', socket => $other, timeout => 60)->status;
}


# Connections, and requests that were read and are not answered. This one
# counts too.
sub counted {
    my $r = $t->http(GET => '/status', socket => $other, timeout => 60);
    return $r->body =~ /^Active connections: (\d+) .*Writing: (\d+)/s
        ? "$1 $2" : '';
}


sub rss {
    open my $fh, '<', "/proc/$worker/status" or die "worker $worker: $!";
    my ($kb) = map {/^VmRSS:\s+(\d+)/} <$fh>;
    return $kb;
}


# All at once: the worker is stopped meanwhile, and finds them all when it goes
# on. The request behind them waits for as long as they take it; in seconds.
sub hang_up {
    my @sockets = @_;

    kill STOP => $worker;
    close $_ for @sockets;
    syswrite $other, "GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n";

    my $since = time;
    kill CONT => $worker;
    my $r = $t->read_response($other, 'GET', timeout => 60);
    is $r->status, 204, 'the worker is back';

    return time - $since;
}


my %logged;


# Returns the worker's memory with them, in KB, and what the end of all took.
sub parked {
    my $uri = shift;

    my @sockets = park($t, $calls, uri => $uri);
    is scalar(grep {defined} @sockets), $calls, 'the calls are sent';
    my $with_this = $calls + 1;
    ok wait_until(30, sub { counted() eq "$with_this $with_this" }),
        'and wait';
    is other(), 204, 'other calls go on';
    my $with = rss();

    my $took = hang_up(@sockets);
    ok wait_until(30, sub { counted() eq '1 1' }), 'no connection is left';

    my $all = $logged{$uri} += $calls;
    ok wait_until(30, sub {
        $all == (() = $t->access_log =~ m{"GET $uri HTTP/1.1" 499}g);
    }), 'all are logged as 499';

    return ($with, $took);
}


$sim->misbehave(retry_after => 3600);
is $t->get('/first')->status, 429, 'the provider wants to be left alone';
$t->get('/delayed');    # the next ones wait

my $idle = rss();
my ($kb, %took);

subtest 'calls that wait' => sub {
    ($kb) = parked('/parked');
    is 0 + @{ $sim->requests }, 1, 'the provider is left alone';
};

# Twice, and some times more where the machine is busy: the least counts.
my $soon = sub { $took{'/parked'} <= 2 * $took{'/delayed'} + 0.02 };
my $again;

for my $round (1 .. 6) {
    last if $round > 2 && $soon->();

    for my $uri ('/delayed', '/parked') {
        subtest "again, $uri" => sub {
            ($again, my $took) = parked($uri);
            $took{$uri} = min($took, $took{$uri} // $took);
        };
    }
}

my $each = ($kb - $idle) / $calls;
note sprintf '%d calls: %.1f KB each; hung up in %.1f ms, limit_req %.1f ms',
    $calls, $each, map { $_ * 1000 } @took{qw(/parked /delayed)};

SKIP: {
    skip 'instrumented', 3 if $t->instrumented;
    cmp_ok $each, '<=', MOST_KB, 'memory of each, KB';
    cmp_ok $again, '<=', $kb + 1024, 'nothing more the next time';
    ok $soon->(), 'time that they take to go' or diag explain \%took;
}

is_deeply [ $t->worker_pids ], [$worker], 'the worker is the one of the start';

done_testing;
