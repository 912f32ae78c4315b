#!/usr/bin/env perl

# Calls that wait for their turn, that wait to be made again, and that the
# provider has: a graceful end of nginx lets all of them finish, as does a
# reload, and any other end is at once and leaves nothing behind.

use strict;
use warnings;

use List::Util qw(sum);
use Test::Idpay;
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');


sub upstream {
    my ($name, $limits) = @_;

    return <<"CONF";
    upstream $name {
        server          %%SIM_gate%%;
        keepalive       8;
        idpay_provider  generic;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_breaker   off;
        idpay_timeout   1h;
        $limits
    }
CONF
}


sub start {
    my ($globals, %opt) = @_;

    $t->quit;
    $t->config("%%GLOBALS%%\n$globals\n%%EVENTS%%\nhttp {\n    %%HTTP%%\n"
        . "    idpay_trusted_certificate %%CA%%;\n"
        . upstream(turn => 'idpay_rate 4r/s wait=1h; idpay_adaptive off;')
        . upstream(again => 'idpay_retry tries=2 budget=100%; '
            . 'idpay_adaptive off;')
        . upstream(paused => 'idpay_rate 1000r/s wait=1h; idpay_retry off;')
        . <<'CONF', %opt);
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /turn/   { idpay_pass turn; }
        location /again/  { idpay_pass again; }
        location /paused/ { idpay_pass paused; }
        location /other   { return 204; }
    }
}
CONF
    $t->run;
    return;
}


# What each call is called, by what it waits for: its turn, to be made again,
# the provider; and how many of them it has when all have come.
my %calls = (
    turn  => [ map {"/turn/$_"} 0 .. 4 ],
    again => [ map {"/again/$_"} 0 .. 2 ],
    late  => [ map {"/again/late$_"} 0 .. 2 ],
);
my %first = (turn => 2, again => 3, late => 3);


# Calls that wait for a second or so, or until they are released.
sub short {
    my @kinds = @_;

    $sim->behave->clear;
    $sim->misbehave(match => '^/again/\d', retry_after => 1, times => 3);
    $sim->misbehave(match => '^/again/late', hold => 1, times => 3);

    my @sockets = map { _park($_) } @kinds;
    my $first   = sum map { $first{$_} } @kinds;
    ok @{ $sim->wait_requests($first) } >= $first, 'the provider has its calls';
    return @sockets;
}


sub _park {
    my $calls = $calls{ $_[0] };
    return park($t, scalar @$calls, uri => sub { $calls->[ $_[0] ] });
}


sub all_answered {
    my ($kinds, @sockets) = @_;

    my @r = map { $t->read_response($_, 'GET', timeout => 30) } @sockets;
    is_deeply [ map { $_->status . ($_->complete ? '' : ', cut') } @r ],
        [ (200) x @sockets ], 'each is answered';
    is_deeply [ map { eval { $_->json->{target} } } @r ],
        [ map { @{ $calls{$_} } } @$kinds ], 'with its own answer';
    return;
}


# Calls of each kind that would wait for an hour or so.
sub long {
    $sim->behave->clear;
    $sim->misbehave(match => '^/paused/first', retry_after => 3000);
    $sim->misbehave(match => '^/again/\d', retry_after => 3000, times => 3);
    $sim->misbehave(match => '^/again/late', delay_ms => 3_000_000,
        times => 3);

    is $t->get('/paused/first')->status, 429, 'the provider wants a pause';
    my @sockets = (
        park($t, 5, uri => sub {"/paused/$_[0]"}),
        map { _park($_) } qw(again late)
    );
    ok @{ $sim->wait_requests(7) } >= 7, 'the provider has its calls';
    return @sockets;
}


# That they are closed without an answer.
sub all_closed {
    my @sockets = @_;

    my @r = map { $t->read_response($_, 'GET', timeout => 30) } @sockets;
    is_deeply [ grep { $_->status || $_->error =~ /time/ } @r ], [],
        'each is closed';
    is scalar @{ $sim->requests }, 7, 'and no other call was made';
    return;
}


for my $kind (qw(turn again late)) {
    subtest "quit, $kind" => sub {
        start('');
        my @sockets = short($kind);

        kill QUIT => $t->master_pid;
        ok wait_until(20, sub { !$t->worker_pids }),
            'the worker is shutting down';

        $sim->release;
        all_answered([$kind], @sockets);
        ok $t->quit, 'and it ends in time';
    };
}


subtest 'quit, and the callers go' => sub {
    start('');
    my @sockets = long();

    kill QUIT => $t->master_pid;
    ok wait_until(20, sub { !$t->worker_pids }), 'the worker is shutting down';

    close $_ for @sockets;
    ok $t->quit, 'it ends in time';
    is scalar @{ $sim->requests }, 7, 'and no other call was made';
};


for my $signal (qw(QUIT HUP)) {
    subtest "$signal with worker_shutdown_timeout" => sub {
        start('worker_shutdown_timeout 1s;');
        my ($worker) = $t->worker_pids;
        my @sockets = long();

        my $since = time;
        $signal eq 'HUP' ? $t->reload : kill QUIT => $t->master_pid;

        all_closed(@sockets);
        cmp_ok time - $since, '>=', 0.9, 'when it is time';
        ok wait_until(20, sub { !kill 0, $worker }), 'and the worker ends';
    };
}


subtest 'term' => sub {
    start('');
    my @sockets = long();

    kill TERM => $t->master_pid;
    ok $t->quit, 'it ends in time';
    all_closed(@sockets);
};


for my $signal (qw(QUIT TERM)) {
    subtest "$signal without a master process" => sub {
        start('', master_process => 'off');
        my @sockets = long();

        kill $signal => $t->master_pid;
        ok $t->quit, 'it ends in time';
        all_closed(@sockets);
    };
}


$t->measured('reload' => sub {
    start('');
    my @kinds   = qw(turn again late);
    my @sockets = short(@kinds);
    $sim->clear;
    my ($old) = $t->worker_pids;

    $t->reload;
    push @sockets, park($t, 6, uri => '/turn/new');
    ok kill(0, $old), 'the old worker is still there';
    $sim->release;

    my @new = splice @sockets, -6;
    all_answered(\@kinds, @sockets);
    is_deeply [ map { $t->read_response($_)->status } @new ], [ (200) x 6 ],
        'new calls are answered too';
    ok wait_until(20, sub { !kill 0, $old }), 'the old worker ends';

    my @turns = grep { $_->{target} =~ m{^/turn/} } @{ $sim->requests };
    is_deeply [ map { $_->{target} } @turns[ -6 .. -1 ] ],
        [ ('/turn/new') x 6 ], 'new ones behind the old ones';
    cmp_ok $turns[-1]{time} - $turns[0]{time}, '>=', 0.9 * $#turns / 4,
        'at one rate';
});

done_testing;
