# A caller that hangs up, at any moment, ends the call at the provider as it
# does with proxy_pass, and leaves nothing behind.

use strict;
use warnings;

use Socket qw(SOL_SOCKET SO_LINGER);
use Test::Idpay;
use Test::Idpay::Pass qw(servers);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');

# At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF');
        location / {
            idpay_pass gate;
        }

        location /direct/ {
            proxy_buffering off;
            idpay_pass gate;
        }

        location /ignored/ {
            proxy_ignore_client_abort on;
            idpay_pass gate;
        }

        location /status {
            stub_status;
        }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }

    idpay_trusted_certificate %%CA%%;

$servers
}
CONF

$t->run;

my $n = 0;


# The status in the access log of the call to $uri.
sub logged {
    my $uri = shift;

    my $status;
    wait_until(20, sub {
        ($status) = $t->access_log =~ m{"\w+ \Q$uri\E HTTP/1.1" (\d+)};
    });
    return $status;
}


sub gone { return wait_until(20, sub { $sim->open_connections == 0 }) }


for my $port (8080, 8081) {
    my $who = $port == 8080 ? 'idpay_pass' : 'proxy_pass';

    subtest "$who: while the provider waits" => sub {
        for my $rst (0, 1) {
            my $uri = '/waits' . $n++;
            $sim->behave->clear->misbehave(delay_ms => 60_000);

            my $socket = $t->http(POST => $uri, port => $port, body => 'abc',
                no_read => 1);
            is scalar @{ $sim->wait_requests(1) }, 1, 'the provider has it';
            setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $rst;
            close $socket;

            ok gone(), 'the provider sees the end';
            is logged($uri), 499, 'logged as 499';
        }
    };

    subtest "$who: in an upload" => sub {
        my $uri = '/upload' . $n++;
        $sim->behave->clear;

        my $socket = $t->http(PUT => $uri, port => $port, no_read => 1,
            raw => "PUT $uri HTTP/1.1\r\nHost: a\r\n"
                . "Content-Length: 1000000\r\n\r\n" . 'x' x 500_000);
        close $socket;

        is logged($uri), 400, 'logged as 400';
        is_deeply $sim->requests, [], 'the provider saw nothing';
    };

    for my $place ('/', '/direct/') {
        subtest "$who: in a download, $place" => sub {
            my $uri = "${place}endless" . $n++;
            $sim->behave->clear->misbehave(endless => 1);

            my $got = 0;
            eval {
                $t->get($uri, port => $port, sink => sub {
                    $got += length $_[0];
                    die "enough\n" if $got > 3_000_000;
                });
            };
            is $@, "enough\n", 'it came';

            ok gone(), 'the provider sees the end';
            is logged($uri), 200, 'what was sent stands in the log';
        };

        subtest "$who: a slow answer, $place" => sub {
            my $uri = "${place}trickle" . $n++;
            $sim->behave->clear->misbehave(trickle_ms => 20,
                body => 'x' x 3000);

            my $socket = $t->get($uri, port => $port, no_read => 1);
            is scalar @{ $sim->wait_requests(1) }, 1, 'the provider has it';
            close $socket;

            ok gone(), 'the provider sees the end';
            like logged($uri), qr/^(?:200|499)$/, 'logged';
        };
    }

    subtest "$who: proxy_ignore_client_abort" => sub {
        my $uri = '/ignored/' . $n++;
        $sim->behave->clear->misbehave(delay_ms => 300, body => 'late');

        my $socket = $t->get($uri, port => $port, no_read => 1);
        is scalar @{ $sim->wait_requests(1) }, 1, 'the provider has it';
        close $socket;

        is logged($uri), 200, 'the call ends as if nothing were';
        $sim->behave;
        my $before = $sim->connections;
        is $t->get('/', port => $port)->status, 200, 'a call';
        is $sim->connections, $before, 'on the connection that was kept';

        # for the next ones: a connection that is not kept
        $sim->misbehave(close => 'after_answer');
        $t->get('/', port => $port);
        ok gone(), 'none is kept';
    };

    subtest "$who: half a close is a close" => sub {
        my $uri = '/half' . $n++;
        $sim->behave->clear->misbehave(delay_ms => 60_000);

        my $socket = $t->get($uri, port => $port, no_read => 1);
        is scalar @{ $sim->wait_requests(1) }, 1, 'the provider has it';
        shutdown $socket, 1;

        ok gone(), 'the provider sees the end';
        is logged($uri), 499, 'logged as 499';
    };
}


subtest 'fifty at once' => sub {
    $sim->behave->clear->misbehave(delay_ms => 60_000, times => -1);

    my @sockets = map { $t->post('/many', 'abc', no_read => 1) } 1 .. 50;
    is scalar @{ $sim->wait_requests(50) }, 50, 'the provider has them';
    close $_ for @sockets;

    ok gone(), 'the provider sees the end of all';
    ok wait_until(20, sub {
        50 == (() = $t->access_log =~ m{"POST /many HTTP/1.1" 499}g);
    }), 'all are logged';

    $sim->behave;
    is $t->get('/')->status, 200, 'calls go on';

    ok wait_until(20, sub {
        $t->get('/status', headers => [ [ Connection => 'close' ] ])->body
            =~ /^Active connections: 1 \n.*Reading: 0 Writing: 1 Waiting: 0/s;
    }), 'no connection of a caller is left';
};

done_testing;
