#!/usr/bin/env perl

# Reloads under load: no call fails, and what workers of the old and the new
# configuration send together stays within the limit, also where its rate, its
# queue or the zone that it lives in changes.

use strict;
use warnings;

use List::Util qw(max sum);
use Test::Idpay;
use Test::Idpay::Load    qw(begin_load);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep);

# LATE: the share of the time that one of all may wait for a processor.
use constant { RATE => 40, CALLERS => 30, LATE => 0.05 };

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', limits => <<'CONF');
idpay_rate      RATE;
        idpay_rate      1000r/s path=/ruled;
        RULE
CONF
$sim->record(0);


sub configure {
    my %how = @_;

    my ($rate, $zone, $rule) = @how{qw(rate zone rule)};
    $rate //= RATE;
    $zone //= '4m';
    $rule //= '';

    my $text = <<'CONF';
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;
    idpay_zone ZONE;

    %%UPSTREAM_gate%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass gate; }
    }
}
CONF
    $text =~ s/ZONE/$zone/;
    my $path = $t->config($text, workers => 2);

    open my $fh, '<', $path or die "$path: $!";
    $text = do { local $/; <$fh> };
    $text =~ s/RATE;/${rate}r\/s wait=30s;/;
    $text =~ s/RULE/$rule/;
    $t->write('nginx.conf', $text);
    return;
}


# A caller has a new connection for each call: a kept one may be closed by an
# old worker at the moment that a call is sent on it. Returns how late a worker
# or the simulator was, s, and the calls in each 100 ms.
sub under_load {
    my ($seconds, $code) = @_;

    $sim->clear;
    my $load = begin_load($t, callers => CALLERS, seconds => $seconds,
        uri => '/', headers => [ [ Connection => 'close' ] ]);
    ok wait_until(20, sub { @{ $sim->series } >= 5 }), 'under load';

    my $lateness = $t->lateness;
    $code->();

    my $r = $load->result;
    $t->certain(sub {
        is_deeply { %{ $r->{status} }, %{ $r->{errors} } },
            { 200 => $r->{calls} }, 'no call fails';
    });
    return ($lateness->(), map { $_->[1] } @{ $sim->series });
}


# Those that were late come with others in the same second.
sub is_kept {
    my ($late, $most, @calls) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    cmp_ok most(@calls), '<=', $most * (1 + $late), 'the limit is kept to'
        or diag "@calls, $late s late";
    return;
}


# Where there was time for that.
sub is_used {
    my ($late, $least, @calls) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    SKIP: {
        skip 'too late to tell', 1 if $late > @calls / 10 * LATE;
        cmp_ok rate_of(@calls), '>=', $least, 'and used to the full'
            or diag "@calls, $late s late";
    }
    return;
}


sub most { return max 0, map { sum @_[ $_ .. $_ + 9 ] } 0 .. $#_ - 9 }
sub rate_of { return @_ ? sum(map { $_ // 0 } @_) / @_ * 10 : 0 }


sub reload {
    my %old = map { $_ => 1 } $t->worker_pids;
    $t->reload;
    sleep 0.3;
    return;
}


configure();
$t->run;

$t->measured('the same configuration' => sub {
    my ($late, @n) = under_load(3, sub { reload() for 1 .. 4 });

    is_kept($late, 1.1 * RATE, @n);
    is_used($late, 0.85 * RATE, @n[ 5 .. 29 ]);
});

# For the tenth of a second that nginx lets old and new workers run together
# each of them has a zone of its own.
$t->measured('another size of the zone' => sub {
    my ($late, @n) = under_load(4, sub {
        for my $zone ('1m', '8m') {
            configure(zone => $zone);
            reload();
            sleep 1;
        }
    });

    is_kept($late, 1.3 * RATE, @n);
    is_used($late, 0.85 * RATE, @n[ 5 .. 39 ]);
    configure();
    reload();
});

$t->measured('another rate' => sub {
    for my $rate (2 * RATE, RATE) {
        my $at;
        my ($late, @n) = under_load(3.5, sub {
            configure(rate => $rate);
            reload();
            $at = @{ $sim->series };
        });

        # the old worker's calls may take a second
        my @later = map { $_ // 0 } @n[ $at + 10 .. 33 ];
        is_kept($late, 1.1 * $rate, @later);
        is_used($late, 0.85 * $rate, @later);
    }
});

$t->measured('another rule' => sub {
    my ($late, @n) = under_load(2, sub {
        configure(rule => 'idpay_rate 20r/s path=/ wait=30s;');
        reload();
        configure();
        reload();
    });
    is_kept($late, 1.1 * RATE, @n);
});

is 0 + $t->worker_pids, 2, 'two workers';
ok $t->quit, 'and it ends in time';

done_testing;
