# The URI that a provider receives is the one that proxy_pass would send it,
# and so is what nginx answers itself.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Pass qw(plain);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');

# At two ports, and with proxy_pass at two more.
my $locations = <<'CONF';
        location / {
            idpay_pass gate;
        }

        location /a/ {
            idpay_pass gate/;
        }

        location /prefix {
            idpay_pass gate/x/y;
        }

        location /same/ {
            idpay_pass gate/same/;
        }

        location = /exact {
            idpay_pass gate/other?fixed=1;
        }

        location ~ ^/regex/ {
            idpay_pass gate;
        }

        location /rewritten/ {
            rewrite ^/rewritten/(.*)$ /to/$1 break;
            idpay_pass gate;
        }

        location /query/ {
            rewrite ^/query/(.*)$ /to/$1?added=1 break;
            idpay_pass gate/root/;
        }

        location /dropped/ {
            rewrite ^/dropped/(.*)$ /to/$1? break;
            idpay_pass gate;
        }

        location /moved/ {
            rewrite ^/moved/(.*)$ /a/$1 last;
        }

        location /changed/ {
            set $args c=d;
            idpay_pass gate;
        }

        location /tried/ {
            try_files /nothing @named;
        }

        location /failed/ {
            error_page 404 = @named;
            return 404;
        }

        location @named {
            idpay_pass gate;
        }

        location /outer/ {
            location /outer/inner/ {
                idpay_pass gate/in/;
            }
        }

        location /cond/ {
            idpay_pass gate;
            if ($arg_q = "1") {
                set $args q=2;
            }
        }

        location /merged {
            idpay_pass gate;
        }
CONF
my $plain = plain($locations);

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    absolute_redirect off;

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }

    idpay_trusted_certificate %%CA%%;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
$locations
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
$plain
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        merge_slashes off;
$locations
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        merge_slashes off;
$plain
    }
}
CONF

$t->run;


# What goes out for the URI. The expected one is there so that a line can be
# read; that both sides agree is what counts.
sub same {
    my ($uri, $expected, $how, @ports) = @_;

    my ($method, %opt) = @{ $how // ['GET'] };
    @ports = (8080, 8081) if !@ports;

    my @line;
    for (@ports) {
        $sim->clear;
        $t->http($method, $uri, %opt, port => $_);
        push @line, $sim->last_request->{raw} =~ /^(.*?)\r\n/;
    }

    is $line[0], "$method $expected HTTP/1.1", "$uri becomes $expected";
    is $line[0], $line[1], "$uri: as with proxy_pass";
    return;
}


subtest 'without a URI the call goes out as it came' => sub {
    same($_, $_) for '/', '/x', '/x/', '/x?', '/x?a=b&c', '/x??a', '/x?a?b',
        '/x/%2F/..//b?c&d=%20', '/%41%7e', '/x%3Fa?b', '/x%25?%25', '/x;y=1',
        '/x/./y', '/x//y', '/x%20y', '/x+y?a+b', "/\xc3\xa9?\xc3\xa9",
        '/%C3%A9', '/x%0Ay', '/x"y', '/x%22y?"', '/<x>?<y>', '/x\\y', '/x|y',
        '/' . 'l' x 3000 . '?' . 'q' x 3000;

    same('/x#frag?a', '/x#frag?a');
    same('http://other/x?y=1', '/x?y=1');
    same('/merged//x/../y', '/merged//x/../y');
};


subtest 'with a URI the location is replaced' => sub {
    same('/a/x',               '/x');
    same('/a/',                '/');
    same('/a/x?y=1&z',         '/x?y=1&z');
    same('/a/x?',              '/x');
    same('/a/z/..//b?c=%20',     '/b?c=%20');
    same('/a/x%20y',           '/x%20y');
    same('/a/%41%7e',          '/A~');
    same('/a/x%3Fy?z',         '/x%3Fy?z');
    same('/a/x%25y%23',        '/x%25y%23');
    same("/a/\xc3\xa9",        "/\xc3\xa9");
    same('/a/%C3%A9',          '/%C3%A9');
    same('/a/x"y',             '/x"y');
    same('/prefix',            '/x/y');
    same('/prefixed/e?f',      '/x/yed/e?f');
    same('/same/x%2Fy',        '/same/x/y');
    same('/exact',             '/other?fixed=1');
    same('/outer/inner/x?y',   '/in/x?y');
};


subtest 'other ways into a location' => sub {
    same('/regex/%2F/..//b?c&d=%20', '/regex/%2F/..//b?c&d=%20');
    same('/rewritten/x%20y?a=b', '/to/x%20y?a=b');
    same('/query/x?a=b',         '/to/x?added=1&a=b');
    same('/dropped/x?a=b',       '/to/x');
    same('/moved/x?a=b',         '/x?a=b');
    same('/changed/x?a=b',       '/changed/x?c=d');
    same('/tried/x%2Fy?a=b',     '/tried/x%2Fy?a=b');
    same('/failed/x%2Fy?a=b',    '/failed/x%2Fy?a=b');
    same('/cond/x?q=1',          '/cond/x?q=2');
    same('/cond/x?q=3',          '/cond/x?q=3');

    # an error page of nginx makes a GET of it; a named location does not
    same('/failed/x', '/failed/x', [ POST => body => 'abc' ]);
    is $sim->last_request->{body}, 'abc', 'with its body';
};


subtest 'slashes that are not merged' => sub {
    my @ports = (8082, 8083);

    same('/a//x',     '//x',     undef, @ports);
    same('/a/%2F/x',  '///x',    undef, @ports);
    same('/x//y?z',   '/x//y?z', undef, @ports);
};


subtest 'what nginx answers itself' => sub {
    $sim->clear;

    for my $uri ('/a', '/a?b=c', '/same', '/%2', '/../x', '/x%00') {
        my ($ours, $theirs) = map { $t->get($uri, port => $_) } 8080, 8081;
        is $ours->status, $theirs->status, "$uri: " . $ours->status;
        is $ours->header('Location'), $theirs->header('Location'),
            "$uri: the same Location";
        is $ours->body, $theirs->body, "$uri: the same body";
    }
    is $t->get('/a?b=c')->header('Location'), '/a/?b=c', 'the missing slash';
    is_deeply $sim->requests, [], 'no call is made';
};

done_testing;
