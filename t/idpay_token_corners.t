# What must not happen where something is in the way of a token: a loop, a
# caller that is held up by others, a consent that an older one replaces, and
# the token of another attempt in an answer.

use strict;
use warnings;

use POSIX ();
use Test::Idpay;
use Test::Idpay::Consent qw(give);
use Test::Idpay::Gopay
    qw(forget_requests prefill profile status_uri token_requests);
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

# The store is waited for so long, and a while on a busy machine.
use constant { BUSY => 5, WHILE => 10 };


# nginx with a zone of that size, and what else it needs of tokens.
sub start {
    my ($zone, $store) = @_;

    my $t   = Test::Idpay->new;
    my $sim = $t->sim('gopay', tls => 0);
    $t->secret('store_key');

    my $kept = $store
        ? 'idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store_key%%;'
        : '';

    $t->config(<<"CONF", workers => 1);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_zone $zone;
    $kept

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /v1/        { idpay_pass gopay; idpay_timeout 40s; }
        location = /consent  { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
    }
}
CONF
    $t->run;
    return ($t, $sim);
}


# Somebody else writes to the store, until what is returned is called.
sub lock_store {
    my $dir = shift->dir;

    open my $sql, '|-', 'sqlite3', "$dir/idpay.db" or die "sqlite3: $!";
    $sql->autoflush;
    print {$sql} "BEGIN EXCLUSIVE;\n.shell touch $dir/locked\n";
    ok wait_until(20, sub { -e "$dir/locked" }), 'the database is locked';

    return sub {
        print {$sql} "ROLLBACK;\n.quit\n";
        close $sql or die "sqlite3: $!";
        return;
    };
}


subtest 'the token of the last attempt is cut out' => sub {
    my ($t, $sim) = start('4m');

    give($t, $sim, 7);
    is prefill($t)->status, 200, 'both tokens are of generation 1';
    my ($token) = map { $_->{token} }
        grep { $_->{kind} eq 'application' } @{ $sim->act(do => 'issued') };

    $sim->act(do => 'revoke_family', profile => 7);
    $sim->misbehave(match => 'identification-pdf', status => 401);
    $sim->misbehave(
        match  => 'identification-pdf',
        status => 400,
        json   => { errors => [ { description => "bad: $token" } ] },
    );
    my $r
        = $t->get('/v1/client/client-profile/7/identification-pdf');
    is $r->json->{attempts}, 2, "the person's, then the application's";
    unlike $r->body, qr/\Q$token/, 'which does not come back';
};


subtest 'no room for a token' => sub {
    my ($t, $sim) = start('32k');
    $t->allow_log(qr/no room for a token/);

    $sim->misbehave(
        match => '/v1/auth/login/app',
        times => -1,
        json  => { accessToken => 't' x 8192 },
    );
    my $began = time;
    is prefill($t)->status, 503, 'is told';
    cmp_ok time - $began, '<', WHILE, 'at once';
    cmp_ok token_requests($sim)->{application}{not_acted}, '<', 10,
        'and the provider is not asked again and again';
};


# Another nginx has forgotten the profile, and got a new consent.
subtest 'a store that counts anew' => sub {
    my ($t, $sim) = start('4m', 1);
    my $db = $t->dir . '/idpay.db';

    give($t, $sim, 7);
    system 'sqlite3', $db, 'CREATE TABLE old AS SELECT * FROM tokens';
    $sim->act(do => 'expire', kind => 'client');
    is profile($t, 7)->status, 200, 'renewed';

    system 'sqlite3', $db,
        'DELETE FROM tokens; INSERT INTO tokens SELECT * FROM old';
    $sim->act(do => 'expire', kind => 'client');
    my $began = time;
    is profile($t, 7)->status, 502, 'the older token is taken, and refused';
    cmp_ok time - $began, '<', WHILE, 'at once';
};


subtest 'a new consent stays' => sub {
    my ($t, $sim) = start('4m', 1);
    $t->allow_log(qr/\[alert\].*is not in the store and lost if nginx ends/);

    give($t, $sim, 7);
    $sim->act(do => 'expire', kind => 'client');
    $sim->misbehave(match => '/v1/auth/token', acted => 1, hold => 1);
    my ($call) = park($t, 1, uri => status_uri(7));
    ok wait_until(20,
        sub { $sim->act(do => 'report')->{under_way}{refresh} }),
        'a refresh is under way';

    my $unlock = lock_store($t);
    is give($t, $sim, 7)->status, 200, 'a new consent, which is not saved';
    $unlock->();
    $sim->release;
    is $t->read_response($call)->status, 200, 'the caller has its token';

    ok wait_until(20, sub { $t->error_log =~ /new client token/ }),
        'the refresh is answered';

    # after the back-off
    my $db = $t->dir . '/idpay.db';
    ok wait_until(20, sub {
        sleep 0.5;
        profile($t, 7);
        return qx{sqlite3 $db 'SELECT generation FROM tokens'} =~ /^2/;
    }), 'and the new consent is saved';
    sleep 1;

    $sim->act(do => 'expire', kind => 'client');
    is profile($t, 7)->status, 200, 'renewed';
    is_deeply [ map { $_->{refreshes} } @{ $sim->act(do => 'families') } ],
        [ 1, 1 ], 'by the new one';
};


subtest 'a store that is in use' => sub {
    my ($t, $sim) = start('4m', 1);
    my @profiles = (1 .. 6);

    give($t, $sim, $_) for @profiles;
    $sim->act(do => 'expire', kind => 'client');

    my $unlock = lock_store($t);
    my $began  = time;
    my @pids   = map {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            my $r = eval { profile($t, $_) };
            POSIX::_exit($r && $r->status == 503 ? 0 : 1);
        }
        $pid;
    } @profiles;
    is scalar grep({ waitpid($_, 0) == $_ && $? == 0 } @pids), @profiles,
        'all are told';
    cmp_ok time - $began, '<', 2 * BUSY + WHILE,
        'and do not wait one after another';
    $unlock->();
};


subtest 'what was not saved is, without a call' => sub {
    my ($t, $sim) = start('4m', 1);
    $t->allow_log(qr/\[alert\].*is not in the store and lost if nginx ends/);

    my $unlock = lock_store($t);
    is give($t, $sim, 7)->status, 200, 'a consent';
    $unlock->();

    my $db = $t->dir . '/idpay.db';
    ok wait_until(20, sub {
        qx{sqlite3 $db 'SELECT count(*) FROM tokens'} =~ /^1/;
    }), 'it is saved';
    $t->quit;
    $t->run;
    is profile($t, 7)->status, 200, 'and there after a restart';
};

done_testing;
