#!/usr/bin/env perl

# A worker that is killed takes nothing with it but its own calls: not the
# places in the limit's queue that it had given out, not the breaker's probe,
# not the lock on what the workers share.

use strict;
use warnings;

use List::Util qw(max sum);
use Test::Idpay;
use Test::Idpay::Load    qw(begin_load load park);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep);

# LATE: seconds of a load that one of all may wait for a processor.
use constant { RATE => 50, CALLERS => 40, KILLS => 20, LATE => 0.25 };

my $t = Test::Idpay->new;
$t->allow_log(qr/worker process \d+ exited on signal 9/);
$t->allow_log(qr/shared memory zone "idpay" was locked by \d+/);

my $limited = $t->sim('generic', name => 'limited',
    limits => 'idpay_rate ' . RATE . 'r/s wait=2s; idpay_retry off;');
my $failing = $t->sim('generic', name => 'failing', limits => <<'CONF');
idpay_breaker   failures=2 open=100ms;
        idpay_timeout   2s;
        idpay_retry     off;
CONF
my $busy = $t->sim('generic', name => 'busy', tls => 0,
    limits => 'idpay_rate 1000000r/s; idpay_retry off;');

# With reuseport both workers have callers; one zone of this size is there.
$t->config(<<'CONF', workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;
    idpay_zone 3m;
    keepalive_requests 1000000;

    %%UPSTREAM_limited%%
    %%UPSTREAM_failing%%
    %%UPSTREAM_busy%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;

        location /limited/ { idpay_pass limited; }
        location /failing/ { idpay_pass failing; }
        location /busy/    { idpay_pass busy; }
    }
}
CONF
$t->run;


sub slurp {
    open my $fh, '<', shift or return '';
    local $/;
    return <$fh> // '';
}


# The worker that has accepted our connection.
sub worker_of {
    my $socket = shift;

    # number, the worker's end, ours, state, ..., inode
    my $ends = sprintf '\S+:%04X \S+:%04X 01', $t->port(8080),
        $socket->sockport;
    my ($inode) = map { (split)[9] } grep {/^ *\d+: $ends /} split /\n/,
        slurp('/proc/net/tcp');
    return 0 if !$inode;

    my ($worker) = grep {
        my $pid = $_;
        grep { (readlink // '') eq "socket:[$inode]" } glob "/proc/$pid/fd/*"
    } $t->worker_pids;
    return $worker // 0;
}


# Until there is another in its place.
sub kill_worker {
    my $worker = shift or die "no worker\n";

    kill KILL => $worker;
    ok wait_until(20, sub {
        my @now = $t->worker_pids;
        @now == 2 && !grep { $_ == $worker } @now;
    }), 'a worker is killed, and there is a new one';
    return;
}


$t->measured('calls that wait' => sub {
    my @sockets = park($t, RATE, uri => sub {"/limited/$_[0]"});
    ok wait_until(20, sub { !grep { !worker_of($_) } @sockets }),
        'all are accepted';
    my ($worker) = $t->worker_pids;
    my @kept     = grep { worker_of($_) != $worker } @sockets;
    ok @kept && @kept < @sockets, 'both workers have some';

    kill KILL => $worker;

    my @r = map { $t->read_response($_) } @kept;
    is_deeply [ grep { $_->status != 200 } @r ], [],
        'those of the other worker are answered';
    ok wait_until(20, sub { $t->worker_pids == 2 }), 'there is a new worker';
});


$t->measured('a limit' => sub {
    $limited->clear->record(0);
    my $lateness = $t->lateness;
    my $load     = begin_load($t, callers => CALLERS, seconds => 5,
        uri => '/limited/');

    ok wait_until(20, sub { @{ $limited->series } >= 10 }), 'under load';
    kill_worker(($t->worker_pids)[0]);
    my $killed = @{ $limited->series };
    my $r      = $load->result;
    my $late   = $lateness->();

    is_deeply [ keys %{ $r->{status} } ], [200], 'all answers are good';
    my $errors = sum 0, values %{ $r->{errors} };
    ok $errors && $errors <= CALLERS, 'the calls of that worker are lost'
        or diag explain $r->{errors};

    # Its places are lost too, up to the time that the last one may wait.
    my @n = map { $_->[1] } @{ $limited->series };
    my @later = @n[ $killed + 10 .. $killed + 29 ];
    SKIP: {
        skip 'too late to tell', 1 if $late > LATE;
        cmp_ok sum(map { $_ // 0 } @later) / 2, '>=', 0.85 * RATE,
            'the limit is used to the full again';
    }
    cmp_ok max(map { sum @n[ $_ .. $_ + 9 ] } 0 .. $#n - 9), '<=',
        RATE * (1.1 + $late), 'and kept to' or diag "@n, $late s late";
});


$t->measured('a probe' => sub {
    $failing->clear->misbehave(status => 503, times => 2);
    is $t->get('/failing/')->status, 503, 'it fails' for 1 .. 2;
    $failing->misbehave(delay_ms => 60_000);

    my $socket;
    ok wait_until(20, sub {
        $socket = $t->get('/failing/probe', no_read => 1);
        wait_until(0.3, sub { @{ $failing->requests } == 3 });
    }), 'a probe is under way';

    kill_worker(worker_of($socket));
    is $t->get('/failing/')->status, 503, 'the probe has not ended';
    is scalar @{ $failing->requests }, 3, 'there is no other';
    ok wait_until(20, sub { $t->get('/failing/')->status == 200 }),
        'until its time is over';
});


# The first word of a zone is its lock: the process that has it. No signal
# would come within the microsecond that a worker has it for.
sub lock_by {
    my $pid = shift;

    no warnings 'portable';    # hex of an address
    my ($zone) = map { $_->[0] } grep { $_->[1] - $_->[0] == 3 << 20 }
        map { [ map {hex} /^(\w+)-(\w+) rw-s/ ] }
        grep {/ rw-s /} split /\n/, slurp("/proc/$pid/maps");

    open my $memory, '+<:raw', "/proc/$pid/mem" or return 0;
    sysseek $memory, $zone, 0;
    return syswrite $memory, pack 'J', $pid;
}


subtest 'the lock' => sub {
    # the first call of all begins the limiter, by the clock of its worker
    is $t->get('/busy/')->status, 200, 'a call';
    $busy->clear;

    my ($worker) = $t->worker_pids;
    if (!lock_by($worker)) {
        note 'memory of others is not ours';
        return;
    }

    my @sockets = park($t, 10, uri => '/busy/locked');
    ok !wait_until(0.5, sub { @{ $busy->requests } }), 'it is locked';
    my @kept = grep {
        my $of = worker_of($_);
        $of && $of != $worker
    } @sockets;

    kill KILL => $worker;
    my @r = map { $t->read_response($_) } @kept;
    is_deeply [ map { $_->status . ($_->error // '') } @r ], [ (200) x @r ],
        'calls go on';
    ok wait_until(20, sub { $t->worker_pids == 2 }), 'there is a new worker';
};


# The provider tells what is left of a quota: each answer takes the lock.
$t->measured('many' => sub {
    $busy->record(0)->limit(rate => 100_000, headers => 'ratelimit');
    my $load = begin_load($t, callers => CALLERS, seconds => 3,
        uri => '/busy/');

    for (1 .. KILLS) {
        my @workers = wait_until(20, sub {
            my @now = $t->worker_pids;
            @now == 2 && \@now;
        });
        kill KILL => $workers[0][ rand 2 ];
        sleep 0.1;
    }

    my $r = $load->result;
    $t->certain(sub {
        is_deeply [ keys %{ $r->{status} } ], [200], 'all answers are good';
        ok !grep({ !/^(?:closed|reset)$/ } keys %{ $r->{errors} }),
            'no call hangs' or diag explain $r->{errors};
    });

    ok wait_until(20, sub { $t->worker_pids == 2 }), 'two workers are there';
    $r = load($t, callers => CALLERS, seconds => 1, uri => '/busy/');
    is_deeply [ keys %{ $r->{status} }, %{ $r->{errors} } ], [200],
        'all goes well';
    cmp_ok scalar(() = $t->error_log =~ /exited on signal 9/g), '>=', KILLS,
        'so many were killed';
});

done_testing;
