# What the zone has of tokens: as many as are in use, and where it is full the
# one not used for the longest time gives way, without any call failing.

use strict;
use warnings;

use List::Util qw(sum0);
use Test::Idpay;
use Test::Idpay::Consent qw(give);
use Test::Idpay::Gopay   qw(forget_requests profile token_requests);
use Test::More;

# So many tokens fit into 4 megabytes; a small zone has room for fewer.
use constant { HOT => 1000, SMALL => '192k', MANY => 200 };


# nginx with a zone of that size, and what else it needs of tokens.
sub start {
    my ($zone, $store) = @_;

    my $t   = Test::Idpay->new;
    my $sim = $t->sim('gopay', tls => 0);
    $t->secret('store_key');

    my $kept = $store
        ? "idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store_key%%;"
        : '';

    $t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_zone $zone;
    $kept

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;
        location /v1/        { idpay_pass gopay; }
        location = /consent  { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
    }
}
CONF
    $t->run;
    return ($t, $sim);
}


# Of these profiles, how many are not answered with 200.
sub failed {
    my ($t, @profiles) = @_;

    my $socket;
    return sum0(map {
        my $r = profile($t, $_, $socket ? (socket => $socket) : ());
        $socket = $r->socket;
        $r->status != 200
    } @profiles);
}


subtest 'without a store' => sub {
    my ($t, $sim) = start('4m');
    my @profiles = (1001 .. 1000 + HOT);

    is sum0(map { give($t, $sim, $_)->status != 200 } @profiles), 0,
        HOT . ' have given consent';
    forget_requests($sim);
    is failed($t, @profiles), 0, 'and all of them are there';
    is_deeply token_requests($sim), {}, 'as they were got';
};


subtest 'with a store' => sub {
    my ($t, $sim) = start(SMALL, 1);
    my @profiles = (1001 .. 1000 + MANY);

    is sum0(map { give($t, $sim, $_)->status != 200 } @profiles), 0,
        MANY . ' have given consent';
    forget_requests($sim);
    is failed($t, @profiles), 0, 'and all of them pass';
    is failed($t, reverse @profiles), 0, 'once more';
    is_deeply token_requests($sim), {}, 'with the tokens of the store';

    $sim->act(do => 'expire', kind => 'client');
    is failed($t, @profiles), 0, 'so do they when all are renewed';
    is_deeply token_requests($sim), { refresh => { ok => MANY } },
        'once each';
};


# The one in use stays, the others have to give way to each other.
subtest 'too small, without a store' => sub {
    my ($t, $sim) = start(SMALL);

    give($t, $sim, 1000);
    my $lost = 0;
    for my $n (1001 .. 1000 + MANY) {
        give($t, $sim, $n);
        $lost++ if profile($t, 1000)->status != 200;
    }
    is $lost, 0, 'the consent in use is kept';

    my $gone = failed($t, 1001 .. 1000 + MANY);
    cmp_ok $gone, '>', 0, 'others are not';
    is profile($t, 1000 + MANY)->status, 200, 'the last one is';
};

done_testing;
