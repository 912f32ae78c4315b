# Calls in flight outlive a reload and a graceful quit.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');

my $text = <<'CONF';
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_gate%%

    idpay_trusted_certificate %%CA%%;

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location / {
            idpay_pass gate;
        }
    }
}
CONF

$t->config($text, workers => 2);
$t->run;


# Fifty calls that the provider has and answers when it is told to.
sub in_flight {
    $sim->behave->clear->misbehave(hold => 1, times => 50);

    my @sockets = map {
        $t->http($_ % 2 ? ('POST', "/$_", body => 'abc') : ('GET', "/$_"),
            no_read => 1)
    } 1 .. 50;
    is scalar @{ $sim->wait_requests(50) }, 50, 'fifty calls in flight';

    return @sockets;
}


sub all_answered {
    my ($more, @sockets) = @_;

    $sim->release;
    my @r = map { $t->read_response($_) } @sockets;
    is_deeply [ map { $_->status . $_->json->{target} } @r ],
        [ map {"200/$_"} 1 .. 50 ], 'each is answered';
    is scalar @{ $sim->requests }, 50 + $more, 'and was made once';
    return;
}


subtest 'reload' => sub {
    my @sockets = in_flight();
    my %old     = map { $_ => 1 } $t->worker_pids;

    $t->reload;
    is scalar grep({ $old{$_} } $t->worker_pids), 0, 'new workers';

    my $r = $t->get('/new');
    is $r->status, 200, 'they serve';
    ok !grep({ kill(0, $_) == 0 } keys %old), 'the old ones are still there';

    all_answered(1, @sockets);
    ok wait_until(20, sub { !grep { kill 0, $_ } keys %old }),
        'then the old ones end';
};


subtest 'a download over a reload' => sub {
    $sim->behave;

    my $got = 0;
    my $r   = $t->get('/__bytes/20000000', sink => sub {
        $t->reload if !$got;
        $got += length $_[0];
    }, timeout => 30);
    is $got, 20_000_000, 'all of it';
    ok $r->complete, 'complete';
};


subtest 'a new secret is used after a reload' => sub {
    my $old = $t->secret_value('key');
    $t->get('/');
    is_deeply [ $sim->header($sim->last_request, 'X-Key') ], [$old], 'the old';

    $t->secret('key', '');
    $t->reload;
    $t->get('/');
    is_deeply [ $sim->header($sim->last_request, 'X-Key') ],
        [ $t->secret_value('key') ], 'the new';
    isnt $t->secret_value('key'), $old, 'which is another';
};


subtest 'quit' => sub {
    my @sockets = in_flight();

    kill QUIT => $t->master_pid;
    ok wait_until(20, sub { !$t->worker_pids }), 'the workers are ending';

    all_answered(0, @sockets);
    ok $t->quit, 'and it ends in time';
};


subtest 'without a master process' => sub {
    $t->config($text, master_process => 'off');
    $t->run;
    is $t->get('/')->status, 200, 'a call';
    ok $t->quit, 'and it ends in time';
};

done_testing;
