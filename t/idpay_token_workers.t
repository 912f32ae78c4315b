#!/usr/bin/env perl

# Workers share their tokens: one of them asks, and if it is killed another one
# does. A reload takes them along, a new binary gets its own.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Gopay   qw(token_requests forget_requests prefill $prefill);
use Test::Idpay::Load    qw(park under_way);
use Test::Idpay::Process qw(wait_until);
use Test::More;

# LEASE: seconds that one who asks has for it.
use constant {
    WORKERS => 4,
    CALLERS => defined $ENV{IDPAY_MODULE} ? 300 : 1000,
    LEASE   => 20
};

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay');
$t->allow_log(qr/worker process \d+ exited on signal 9/);

my $login = '/v1/auth/login/app';


sub configure {
    my $zone = shift;

    return $t->config(<<"CONF", workers => WORKERS);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format workers '\$pid \$status \$idpay_credential';
    access_log %%TESTDIR%%/workers.log workers;

    idpay_zone $zone;
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        location /      { idpay_pass gopay; }
        location /calls { access_log off; stub_status; }
    }
}
CONF
}


sub begin {
    my $n = shift;

    return park($t, $n, method => 'POST', uri => $prefill,
        body => '{"firstName":"A"}',
        headers => [ [ 'Content-Type' => 'application/json' ] ]);
}


sub statuses {
    my %n;
    $n{ $t->read_response($_, 'POST', timeout => 60)->status }++ for @_;
    return \%n;
}


# What the log has in that place, of the calls that have been made since it was
# asked for; there are $n of them.
my $read = 0;
sub logged {
    my ($n, @places) = @_;

    my @lines;
    wait_until(20, sub {
        @lines = split /\n/, $t->read('workers.log');
        return @lines >= $read + $n;
    });
    splice @lines, 0, $read;
    $read += @lines;

    return map {
        my $place = $_;
        my %seen  = map { (split)[$place] => 1 } @lines;
        [ sort keys %seen ];
    } @places;
}


sub slurp {
    open my $fh, '<', shift or return '';
    local $/;
    return <$fh> // '';
}


# The worker that has a connection to the provider.
sub asking {
    my $end = sprintf '\S+:\S+ \S+:%04X 01', $sim->port;
    my ($inode) = map { (split)[9] } grep {/^ *\d+: $end /} split /\n/,
        slurp('/proc/net/tcp');
    return if !$inode;

    my ($worker) = grep {
        my $pid = $_;
        grep { (readlink // '') eq "socket:[$inode]" } glob "/proc/$pid/fd/*"
    } $t->worker_pids;
    return $worker;
}


configure('4m');
$t->run;


subtest 'many callers at once' => sub {
    $sim->misbehave(match => $login, hold => 1);
    my @calls = begin(CALLERS);
    ok under_way($t, CALLERS), 'all wait';
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'for one token request';
    $sim->release;

    is_deeply statuses(@calls), { 200 => CALLERS }, 'all pass';
    my ($workers, $credentials) = logged(CALLERS, 0, 2);
    is scalar @$workers, WORKERS, 'each worker had some of them';
    is_deeply $credentials, ['application/primary/1'], 'with the same token';
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'no other was asked for';
};


subtest 'many callers whose token is refused' => sub {
    forget_requests($sim);
    $sim->act(do => 'expire', kind => 'application');
    $sim->misbehave(match => $login, delay_ms => 300, acted => 1);

    is_deeply statuses(begin(CALLERS)), { 200 => CALLERS }, 'all pass';
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'with one new token';
    is_deeply logged(CALLERS, 2), ['application/primary/2'], 'all of them';
};


subtest 'reloads' => sub {
    forget_requests($sim);
    my %credential;
    for my $zone ('4m', '4m', '6m', '3m', '4m') {
        my %old = map { $_ => 1 } $t->worker_pids;
        configure($zone);
        $t->reload;

        is prefill($t)->status, 200, "idpay_zone $zone: a call passes"
            for 1 .. 4;
        my ($workers, $credentials) = logged(4, 0, 2);
        ok !grep({ $old{$_} } @$workers), "idpay_zone $zone: new workers";
        $credential{$_} = 1 for @$credentials;
    }
    is_deeply [ keys %credential ], ['application/primary/2'],
        'with the same token';
    is_deeply token_requests($sim), {}, 'no other was asked for';
};


subtest 'a worker that asks and is killed' => sub {
    $t->quit;
    $t->run;
    forget_requests($sim);
    $sim->behave->misbehave(match => $login, hold => 1);

    my @calls = begin(40);
    ok under_way($t, 40), 'all wait';
    my $worker;
    ok wait_until(20, sub { $worker = asking() }), 'for one of the workers';
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'which asks';

    kill KILL => $worker;
    ok wait_until(20, sub { $t->worker_pids == WORKERS
            && !grep { $_ == $worker } $t->worker_pids }),
        'it is killed, and there is a new one';
    push @calls, begin(40);

    my $r = statuses(@calls);
    my $lost = delete $r->{0} // 0;
    ok $lost && $lost < 40, 'its own callers have gone' or diag $lost;
    is_deeply $r, { 200 => 80 - $lost }, 'all others pass';

    my @requests = @{ $sim->act(do => 'report')->{requests} };
    is scalar @requests, 2, 'one other worker has asked';
    my $later = $requests[1]{began} - $requests[0]{began};
    ok $later >= LEASE - 1 && $later < LEASE + 15, 'when it was time'
        or diag $later;
};


# A signal to the master goes unheard where its parent is the one of its start,
# so that nginx has to be a daemon.
subtest 'a new binary' => sub {
    $t->quit;
    my $conf = configure('4m');
    my $text = slurp($conf);
    $text =~ s/daemon off;/daemon on;/ or die 'no "daemon off"';
    $t->write('daemon.conf', $text);
    forget_requests($sim);

    my $pid = sub {
        my ($file) = @_;
        my $pid = $t->read($file // 'nginx.pid');
        return $pid =~ /^(\d+)$/m && $1;
    };
    my $end = sub {
        my $pid = shift or return;
        kill QUIT => $pid;
        wait_until(20, sub { !kill 0, $pid }) or kill KILL => $pid;
    };
    unlink $t->dir . '/nginx.pid';
    my @command = ($t->binary, '-p', $t->dir, '-c', $t->dir . '/daemon.conf',
        '-e', $t->dir . '/error.log');
    is system('sh', '-c', 'exec "$0" "$@" >/dev/null 2>&1', @command), 0,
        'nginx starts';

    my $old = wait_until(20, $pid);
    my $new;
    my $ok = eval {
        is prefill($t)->status, 200, 'a call passes';
        is_deeply token_requests($sim), { application => { ok => 1 } },
            'with a token';

        kill USR2 => $old;
        ok wait_until(20, sub {
            $new = $pid->();
            $new && $new != $old && slurp("/proc/$new/task/$new/children");
        }), 'there is a new master';
        $end->($old);
        is_deeply statuses(begin(20)), { 200 => 20 }, 'calls pass';
        is_deeply token_requests($sim), { application => { ok => 2 } },
            'with a token of its own';
        1;
    };
    my $died = $@;
    $end->($new) if $new && $new != $old;
    $end->($old) if kill 0, $old;
    ok $ok, 'and all ends well' or diag $died;
};

$t->canary($_->{token}) for @{ $sim->act(do => 'issued') };
done_testing;
