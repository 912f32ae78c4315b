# Rules of idpay_rate, for the calls of a path or a method, beside the general
# limit.

use strict;
use warnings;

use List::Util qw(uniq);
use Test::Idpay;
use Test::Idpay::Load qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', tls => 0);

# A provider for each, all of them the same simulator. Where nothing waits, a
# burst is how many are let through.
my %rates = (
    paths => [
        '1r/m burst=4 wait=0 path=/a',
        '1r/m burst=1 wait=0 path=/a/b',
        '1r/m burst=2 wait=0 path=/a/b/c',
    ],
    methods => [
        '1r/m burst=4 wait=0 path=/m',
        '1r/m burst=1 wait=0 path=/m method=POST',
        '1r/m burst=2 wait=0 method=PUT',
        '1r/m burst=0 wait=0 method=DELETE',
    ],
    both => [
        '1r/m burst=5 wait=0',
        '1r/m burst=3 wait=0 path=/narrow',
        '1000r/s burst=100 path=/wide',
    ],
    slow  => [ '10r/s wait=30s', '5r/s wait=30s path=/slow' ],
    waits => [ '100r/s', '1r/m wait=0 path=/none',
        '2r/s wait=700ms path=/some', '12r/m wait=30s path=/long' ],
    tried => [
        '1r/m burst=1 wait=0 path=/tried dry_run',
        '1r/m burst=3 wait=0',
    ],
    trial => [ '1r/m burst=0 wait=0 dry_run', '1r/m burst=1 wait=0 path=/a' ],
    turns => [ '20r/s wait=30s', '20r/s wait=30s path=/one',
        '20r/s wait=30s path=/other' ],
    sent => ['1r/m burst=1 wait=0 path=/sent/'],
);

my $upstreams = join "\n", map {
    my $name = $_;
    my $rates = join "\n        ", map {"idpay_rate $_;"} @{ $rates{$name} };
    <<"CONF";
    upstream $name {
        server          %%SIM_generic%%;
        keepalive       64;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        $rates
        idpay_adaptive  off;
        idpay_retry     off;
        idpay_breaker   off;
    }
CONF
} sort keys %rates;

my $locations = join '',
    map {"location /$_/ { idpay_pass $_/; }\n"} sort keys %rates;

$t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

$upstreams
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        $locations
        location /from/ { idpay_pass sent/sent/; }
        location = /calls { access_log off; stub_status; }
    }
}
CONF

$t->run;


# How many calls, one after the other, are let through until one is not.
sub passes {
    my ($method, $uri) = @_;

    for my $n (0 .. 20) {
        my $r = $t->http($method, $uri);
        next if $r->status == 200;
        is $r->status, 429, "$method $uri: then 429";
        is $r->json->{fault}, 'gateway', "$method $uri: of the gateway's";
        return $n;
    }
    return 'all';
}


sub statuses {
    return [ sort map { $t->read_response($_)->status } @_ ];
}


sub took {
    my @times = sort { $a <=> $b } map { $_->{time} } @{ $sim->requests };
    return $times[-1] - $times[0];
}


subtest 'the longest path' => sub {
    is passes(GET => '/paths/a/b/c/d'), 3, 'of three';
    is passes(GET => '/paths/a/b/x'),   2, 'of two: a limit of its own';
    is passes(GET => '/paths/a/x'),     5, 'of one: the same';
    is passes(GET => '/paths/abc'), 0, 'a path is the beginning of a path';
    is passes(POST => '/paths/a/b?c'), 0, 'whatever the method';
    is passes(GET => '/paths/c'), 'all', 'no rule';
    is passes(GET => '/paths/x/a/b'), 'all', 'nor in its middle';
};


subtest 'methods' => sub {
    is passes(POST => '/methods/m'), 2, 'of two with one path, the method\'s';
    is passes(GET => '/methods/m'),  5, 'which is not for others';
    is passes(PUT => '/methods/x'),  3, 'a method, whatever the path';
    is passes(PUT => '/methods/m'), 0, 'the path is longer, and used up';
    is passes(DELETE => '/methods/x'), 1, 'each method has its own';
    is passes(GET => '/methods/x'), 'all', 'others have none';
};


subtest 'the path that is sent' => sub {
    is passes(GET => '/from/a'), 2, 'not the one of the caller';
    is passes(GET => '/sent/sent/b'), 0, 'it is the same from elsewhere';
    is passes(GET => '/sent/x'), 'all', 'another';
};


$t->measured('a rule and the general limit' => sub {
    is passes(GET => '/both/narrow'), 4, 'the rule';
    is passes(GET => '/both/wide'),   2, 'what is left of the general limit';
    is passes(GET => '/both/x'),      0, 'which is for all';

    $sim->clear;
    my @calls = (
        park($t, 5, uri => '/slow/slow'), park($t, 7, uri => '/slow/x')
    );
    is_deeply [ uniq @{ statuses(@calls) } ], [200], 'they wait for both';
    cmp_ok took(), '>=', 1.05, 'twelve, ten a second';

    my @slow = sort { $a <=> $b } map { $_->{time} }
        grep { $_->{target} eq '/slow' } @{ $sim->requests };
    cmp_ok $slow[-1] - $slow[0], '>=', 0.75, 'of those five, five a second';
    cmp_ok $slow[-1] - $slow[0], '<=', 3, 'and not slower';
});


# Who waits under a rule does not hold up the others.
$t->measured('rules beside each other' => sub {
    my $call = $t->get('/waits/long', no_read => 1);
    is $t->read_response($call)->status, 200, 'the first goes';
    $call = $t->get('/waits/long', no_read => 1);
    ok wait_until(20, sub {
        $t->get('/calls')->body =~ /Writing: 2/;
    }), 'the second waits, five seconds';

    is passes(GET => '/waits/none'), 1, 'another has no time for that';
    is_deeply statuses(park($t, 3, uri => '/waits/some')), [ 200, 200, 429 ],
        'or some';
    is_deeply statuses(park($t, 9, uri => '/waits/x')), [ (200) x 9 ],
        'or the time of the general limit';
    close $call;

    $sim->clear;
    my @calls = map { park($t, 6, uri => "/turns/$_") } qw(one other);
    is_deeply [ uniq @{ statuses(@calls) } ], [200], 'two rules';
    cmp_ok took(), '>=', 0.52, 'share the general limit';

    my @first = map { $_->{target} } @{ $sim->requests }[ 0 .. 5 ];
    is scalar(uniq @first), 2, 'and neither comes before the other';
});


subtest 'dry_run' => sub {
    my $told = sub {
        my $name = shift;
        scalar(() = $t->error_log =~ /"$name" is over its rate, dry run/g);
    };
    is passes(GET => '/tried/tried'), 4, 'of a rule: the general limit holds';
    is $told->('tried'), 3, 'what was over the rule is told';

    is passes(GET => '/trial/a'), 2, 'of the general limit: the rule holds';
    is passes(GET => '/trial/x'), 'all', 'and nothing else does';
    cmp_ok $told->('trial'), '>=', 22, 'what was over the limit is told';
};

done_testing;
