package Test::Idpay::Consent;

# A person's browser, on its way to the provider's page of consent and back.
#
#   begin($t, %opt)          GET of idpay_consent_start: {response, cookie,
#                            location, url, state, args}; cookie: NAME=value,
#                            url: of the location, without arguments, state:
#                            sealed, args: [[name, value], ...] as they came
#   come_back($t, $begun, %args)   GET of idpay_consent_callback with these
#                            arguments, "state" and the cookie
#   give($t, $sim, $profile, %opt) all of it; the answer to the callback
#   code($sim, $profile)     what the provider gives a person to bring
#   cookie_of($response)     the whole Set-Cookie
#   arguments($url)          [[name, value], ...], undone
#   watch($t, $sim)          all tokens so far are looked for in logs
#
# Options of begin and give: at (/consent), callback (/callback), state,
# prefill_id, port, and those of the client. What come_back is given as cookie
# or state => undef is left out.

use strict;
use warnings;

use Exporter   qw(import);
use Mojo::Util qw(url_escape url_unescape);

our @EXPORT_OK = qw(begin come_back give code cookie_of arguments watch);

# So many cookies are looked for in logs: all of a thousand would take minutes.
use constant WATCHED => 50;

my $watched = 0;


sub _query {
    my @pairs = @_;

    my @args;
    while (my ($name, $value) = splice @pairs, 0, 2) {
        push @args, "$name=" . url_escape($value) if defined $value;
    }
    return join '&', @args;
}


sub arguments {
    my $url = shift;

    my ($query) = $url =~ /\?(.*)/s or return [];
    return [ map { [ map { url_unescape($_) } split /=/, $_, 2 ] }
            split /&/, $query ];
}


sub cookie_of {
    my $response = shift;
    return $response->header('Set-Cookie') // '';
}


sub begin {
    my ($t, %opt) = @_;

    my $query = _query(map { $_ => delete $opt{$_} } qw(state prefill_id));
    my $at    = delete $opt{at} // '/consent';
    delete $opt{callback};

    my $r        = $t->get($at . (length $query ? "?$query" : ''), %opt);
    my $location = $r->header('Location') // '';
    my $args     = arguments($location);
    my ($state)  = map { $_->[1] } grep { $_->[0] eq 'state' } @$args;
    my ($cookie) = cookie_of($r) =~ /^([^;]*)/;

    # it is a secret of the browser's
    $t->canary($1)
        if ($cookie // '') =~ /=(.+)/ && ++$watched <= WATCHED;

    return {
        response => $r,
        cookie   => $cookie,
        location => $location,
        url      => $location =~ s/\?.*//sr,
        state    => $state,
        args     => $args,
    };
}


sub come_back {
    my ($t, $begun, %args) = @_;

    my $at     = delete $args{at} // '/callback';
    my %opt    = %{ delete $args{options} // {} };
    my $cookie = exists $args{cookie} ? delete $args{cookie} : $begun->{cookie};

    $args{state} = $begun->{state} if !exists $args{state};
    push @{ $opt{headers} }, [ Cookie => $cookie ] if defined $cookie;

    return $t->get("$at?" . _query(map { $_ => $args{$_} } sort keys %args),
        %opt);
}


sub code {
    my ($sim, $profile) = @_;
    return $sim->act(do => 'consent', profile => $profile)->{code};
}


sub give {
    my ($t, $sim, $profile, %opt) = @_;

    return come_back($t, begin($t, %opt),
        code => code($sim, $profile),
        at   => $opt{callback} // '/callback');
}


sub watch {
    my ($t, $sim) = @_;

    $t->canary($_->{token})
        for grep { $_->{kind} ne 'code' } @{ $sim->act(do => 'issued') };
    return;
}


1;
