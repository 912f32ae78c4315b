#!/usr/bin/env perl

# What is read of an error: no more than is worth it, no longer than it pays.
# Its connection is used again if that costs little, and the caller is answered
# whatever the provider does then.

use strict;
use warnings;

use IO::Select;
use List::Util qw(max min);
use Mojo::JSON qw(encode_json);
use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::Idpay::Translation qw(is_problem);
use Test::More;
use Time::HiRes qw(time);

# Of each of the many calls at once, at most.
use constant KB => 160;

my $quiet = 'idpay_rate off; idpay_adaptive off; idpay_breaker off; '
    . 'idpay_error_fields code=/code message=/message';

my $t     = Test::Idpay->new;
my $sim   = $t->sim('generic', name => 'gate', limits => "$quiet;\n"
        . 'idpay_retry off;');
my $again = $t->sim('generic', name => 'again', limits => "$quiet;\n"
        . 'idpay_retry tries=3 base=10ms jitter=none budget=100%;');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_gate%%
    %%UPSTREAM_again%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        # longer than any test waits
        proxy_read_timeout 60s;

        location /buffered/ { idpay_pass gate/; }

        location /unbuffered/ {
            proxy_buffering off;
            idpay_pass gate/;
        }
        location /buffered/short/ {
            idpay_timeout 1500ms;
            idpay_pass gate/;
        }
        location /unbuffered/short/ {
            proxy_buffering off;
            idpay_timeout 1500ms;
            idpay_pass gate/;
        }
        location /again/buffered/ { idpay_pass again/; }

        location /again/unbuffered/ {
            proxy_buffering off;
            idpay_pass again/;
        }
        location /status { stub_status; }
    }
}
CONF
$t->run;

my @places = qw(buffered unbuffered);


my $kb100 = encode_json({ code => 'c', message => 'x' x 100_000 });

# How many connections of the two calls are new: 1 where one was dropped.
my @answers = (
    [ 'small',              0, body => '{"code":"c"}' ],
    [ 'small, chunked',     0, body => '{"code":"c"}', chunked => 1 ],
    [ 'empty',              0, body => '' ],
    [ '60 KB',              0, body_size => 60_000 ],
    [ '60 KB, chunked',     0, body_size => 60_000, chunked => 1 ],
    [ '100 KB',             0, body => $kb100 ],
    [ '128 KB',             0, body_size => 131_072 ],
    [ '10 MB',              1, body_size => 10_000_000 ],
    [ '10 MB, chunked',     1, body_size => 10_000_000, chunked => 1 ],
    [ 'endless',            1, endless => 1 ],
    [ 'cut',                1, body_size => 10_000, truncate => 'mid_body' ],
    [ 'cut, 100 KB',        1, body_size => 100_000, truncate => 'mid_body' ],
    [ 'cut, chunked',       1, body_size => 10_000, truncate => 'mid_body',
        chunked => 1 ],
    [ 'reset',              1, body_size => 10_000, reset => 'mid_body' ],
    [ 'reset, chunked',     1, body_size => 10_000, reset => 'mid_body',
        chunked => 1 ],
    [ 'closed behind it',   1, body_size => 10_000, close => 'after_answer' ],
);

for my $place (@places) {
    for (@answers) {
        my ($name, $new, %rule) = @$_;
        $name = "$place, $name";

        $t->measured($name => sub {
            $sim->behave;
            $t->get("/$place/") for 1 .. 2;
            my $before = $sim->connections;

            $sim->misbehave(status => 422, %rule);
            my $r = $t->get("/$place/error");

            is_problem($r, 'the problem', 422, 'validation_failed',
                provider_status => 422, attempts => 1,
                outcome => 'not_applied');
            unlike $r->json->{detail}, qr/xxx/, 'nothing of half a text';

            # an end that has not been seen would make the next call fail
            my $left = 1 - $new;
            ok wait_until(20, sub { $sim->open_connections == $left }),
                "$left connections are left";
            is $t->get("/$place/")->status, 200, 'the next call';
            is $sim->connections - $before, $new, 'new connections';
        });
    }
}


# What is encoded says nothing, and is bounded all the same.
$t->measured('encoded' => sub {
    my @encoded = (headers => [ [ 'Content-Encoding', 'gzip' ] ],
        status => 422);

    for my $place (@places) {
        $sim->behave;
        $t->get("/$place/") for 1 .. 2;
        my $before = $sim->connections;

        $sim->misbehave(@encoded, body_size => 10_000_000, chunked => 1);
        is_problem($t->get("/$place/error"), "$place, encoded", 422,
            'validation_failed', attempts => 1);
        $t->get("/$place/");

        is $sim->connections - $before, 1, "$place, encoded: is dropped";
    }
    $sim->misbehave(@encoded, times => -1, endless => 1);

    my $began   = time;
    my @sockets = map { $t->get("/$_/error", no_read => 1) } @places;
    is_problem($t->read_response($_, 'GET'), 'encoded, endless', 422,
        'validation_failed', attempts => 1) for @sockets;

    cmp_ok time - $began, '<', 2.5, 'long before time is up';
});


# All of these at once: what stands still, what comes a byte at a time.

my $stalled = "HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n"
    . '{"code":"c","message":"';
my %slow = (
    half    => [ raw => $stalled, keep => 1 ],
    nothing => [ keep => 1, raw => $stalled =~ s/\{.*//sr ],
    large   => [ keep => 1,
        raw => $stalled =~ s/1000/100000/r . 'x' x 80_000 ],
    chunked => [ keep => 1, raw => "HTTP/1.1 500 Oops\r\n"
            . "Transfer-Encoding: chunked\r\n\r\nc\r\n{\"code\":\"x\"}\r\n" ],
    forever => [ keep => 1, raw => "HTTP/1.1 500 Oops\r\n\r\n{\"code\"" ],
    trickle => [ status => 500, trickle_ms => 2, body => 'x' x 60_000 ],
);

$t->measured('slow bodies' => sub {
    $sim->behave;
    $sim->misbehave(match => "/$_\$", times => -1, @{ $slow{$_} })
        for keys %slow;

    my %socket;
    my $logged = length $t->error_log;
    my $began  = time;
    for my $name (sort keys %slow) {
        for my $place (@places) {
            $socket{"$place/$name"} = $t->post("/$place/$name", 'abc',
                no_read => 1);
        }
    }
    # their time might be over before the head has come byte by byte
    for my $name (grep { $_ ne 'trickle' } sort keys %slow) {
        for my $place (@places) {
            $socket{"$place/short/$name"} = $t->post("/$place/short/$name",
                'abc', no_read => 1);
        }
    }

    my %took;
    my $set = IO::Select->new(values %socket);
    my %name = reverse %socket;
    while (%name && time - $began < 50) {
        for my $socket ($set->can_read(1)) {
            $set->remove($socket);
            my $name = delete $name{$socket};
            $took{$name} = time - $began;

            is_problem($t->read_response($socket, 'POST'), $name, 502,
                'provider_error', provider_status => 500, attempts => 1,
                outcome => 'unknown', fault => 'provider',
                detail => 'the provider failed to handle the request');
        }
    }
    is_deeply [ sort values %name ], [], 'all are answered';

    # what is too long says nothing: it is not waited for
    my %of;
    push @{ $of{ m{/large$} ? 'large' : m{/short/} ? 'short' : 'long' } },
        $took{$_} for keys %took;

    cmp_ok max(@{ $of{large} }), '<', min(@{ $of{short} }),
        'the large ones end first';
    cmp_ok max(@{ $of{short} }), '<', min(@{ $of{long} }),
        'idpay_timeout ends them before the others';
    cmp_ok max(@{ $of{long} }), '<', 30, 'long before proxy_read_timeout';

    ok wait_until(20, sub { $sim->open_connections == 0 }),
        'no connection is left';
    unlike substr($t->error_log, $logged), qr/the deadline of a call/,
        'a deadline after the status is none of the call';
});


my $round = 0;

$t->measured('a caller that hangs up' => sub {
    $round++;
    for my $place (@places) {
        for my $name (qw(half large chunked)) {
            $sim->behave;
            $t->get("/$place/");
            $sim->clear->misbehave(match => 'gone', times => -1,
                @{ $slow{$name} });

            my @sockets = map {
                $t->get("/$place/gone$name$round", no_read => 1)
            } 1 .. 5;
            is scalar @{ $sim->wait_requests(5) }, 5, "$place $name: sent";

            # one that comes after them: what they were sent has been read
            is $t->get("/$place/")->status, 200, 'another call';
            close $_ for @sockets;

            ok wait_until(20, sub { $sim->open_connections <= 1 }),
                'the provider sees the end of all';
            ok wait_until(20, sub {
                5 == (() = $t->access_log
                        =~ m{"GET /$place/gone$name$round HTTP/1.1" 499 }g);
            }), 'logged as 499';
        }
    }
    ok wait_until(20, sub {
        $t->get('/status', headers => [ [ Connection => 'close' ] ])->body
            =~ /^Active connections: 1 \n.*Reading: 0 Writing: 1 Waiting: 0/s;
    }), 'no connection of a caller is left';
});


# The answers of the attempts before the last one say nothing.
for my $place (@places) {
    for (
        [ 'small',   body => '{"code":"first","message":"m"}' ],
        [ 'endless', endless => 1 ],
        [ 'cut',     body_size => 50_000, truncate => 'mid_body' ],
        )
    {
        my ($name, %rule) = @$_;

        # the budget is for all calls of the last seconds
        $again->behave;
        $t->get("/again/$place/") for 1 .. 3;

        $again->clear->misbehave(status => 500, times => 2, %rule);
        $again->misbehave(status => 503,
            json => { code => 'last', message => 'm' });
        is_problem($t->get("/again/$place/"), "$place, $name: the last one",
            503, 'provider_unavailable', attempts => 3,
            provider_status => 503, provider_code => 'last');
        is scalar @{ $again->requests }, 3, 'three attempts';

        $again->behave;
        $t->get("/again/$place/") for 1 .. 3;
        $again->misbehave(status => 503, times => 2, %rule);
        $again->misbehave(status => 404, body => 'none');
        is_problem($t->get("/again/$place/"), "$place, $name: then a 404", 404,
            'not_found', attempts => 3, provider_status => 404,
            provider_code => undef);

        $again->behave;
        $t->get("/again/$place/") for 1 .. 3;
        $again->misbehave(status => 500, times => 2,
            json => { code => 'earlier' });
        $again->misbehave(status => 500, %rule);
        is_problem($t->get("/again/$place/"), "$place: $name is the last one",
            502, 'provider_error', attempts => 3, provider_status => 500,
            provider_code => $name eq 'small' ? 'first' : undef);
    }
}


my ($worker) = $t->worker_pids;

sub peak {
    open my $file, '<', "/proc/$worker/status" or die $!;
    return (map { /^VmHWM:\s+(\d+)/ ? $1 : () } <$file>)[0];
}


subtest 'many at once' => sub {
    my $calls  = 200;
    my $before = peak();

    for my $place (@places) {
        my $body = encode_json({ code => 'c', message => 'x' x 60_000 });
        $sim->behave->clear->record(0)->misbehave(status => 400, times => -1,
            hold => 1, body => $body);
        my $headers = [ [ 'X-Place', $place ] ];
        $sim->count_by('X-Place');

        my @sockets = map {
            $t->get("/$place/", headers => $headers, no_read => 1)
        } 1 .. $calls;
        ok wait_until(60, sub {
            ($sim->count_by('X-Place')->{$place} // 0) == $calls;
        }), "$place: all are there";
        $sim->release;

        my @answers = map { $t->read_response($_, 'GET', timeout => 60) }
            @sockets;
        is_deeply [ map { $_->status } @answers ], [ (400) x $calls ],
            'all are answered';

        # on a slow machine the time for a body may be up
        my @whole = grep { length($_->json->{detail} // '') == 1024 } @answers;
        cmp_ok scalar @whole, '>', $calls / 2, 'with what the bodies say';

        $sim->behave->misbehave(status => 500, times => -1, endless => 1);
        @sockets = map { $t->get("/$place/", no_read => 1) } 1 .. 20;
        is_deeply [
            map { $t->read_response($_, 'GET', timeout => 60)->status } @sockets
        ], [ (502) x 20 ], 'and of endless ones';
    }

    SKIP: {
        skip 'instrumented', 1 if $t->instrumented;
        cmp_ok peak() - $before, '<', $calls * KB, 'memory for each';
    }
};

$sim->behave;
is $t->get('/buffered/')->status, 200, 'and all goes on';

done_testing;
